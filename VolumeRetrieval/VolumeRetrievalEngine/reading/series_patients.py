"""The patient as all files of a series name him: some may have lost the name that another one's description holds."""

from __future__ import annotations

from dataclasses import replace

from ..volume import Attributes
from .facts import FileFacts, SliceFacts
from .patient_words import PatientWords


class SeriesPatients:
    """What names the patients of the series of one scan. In memory alone, and only while it runs."""

    def __init__(self) -> None:
        self._words: dict[str, set[PatientWords]] = {}

    def note(self, series_uid: str, words: PatientWords) -> None:
        self._words.setdefault(series_uid, set()).add(words)

    def removed_from(self, series_uid: str, attributes: Attributes) -> Attributes:
        """The attributes of a file of this series without what any of its files names the patient by."""
        words = self._words.get(series_uid, set())
        if len(words) < 2:  # the file's own are removed
            return attributes
        texts = {
            name: getattr(attributes, name)
            for name in ("body_part", "manufacturer", "contrast_agent", "series_description")
        }
        for one in words:
            texts = {name: one.removed_from(text) for name, text in texts.items()}
        return replace(attributes, **texts)

    def removed_from_facts(self, facts: FileFacts) -> FileFacts:
        """The same for the facts of a file."""
        series = facts.series
        if series is None:
            return facts
        return replace(
            facts, series=replace(series, attributes=self.removed_from(series.series_uid, series.attributes))
        )


def without_patient(facts: FileFacts, words: PatientWords) -> FileFacts:
    """The facts without what names the patient in values that are no free text: a damaged header has it anywhere."""
    return replace(facts, slices=tuple(_slice_without(one, words) for one in facts.slices))


def names_patient(text: str, words: PatientWords) -> bool:
    """Whether a text that should have no letters names the patient. IDs of digits are part of many UIDs by design."""
    return _has_letters(text) and words.removed_from(text) != text


def runs_over(text: str) -> bool:
    """Whether a value of damaged length goes on into the elements behind it: these have zeros in their lengths.

    What is in them is anything, and may be the patient's name; as that, the elements are not found any more.
    """
    return "\0" in text


def _slice_without(facts: SliceFacts, words: PatientWords) -> SliceFacts:
    criteria = tuple(
        (name, words.removed_from(value) if _has_letters(value) else value)
        for name, value in facts.criteria
        if not runs_over(value)
    )
    image_type = tuple(words.removed_from(value) for value in facts.image_type if not runs_over(value))
    if criteria == facts.criteria and image_type == facts.image_type:
        return facts
    return replace(facts, criteria=criteria, image_type=image_type)


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
