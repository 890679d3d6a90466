"""The patient as all files of a series name him: some may have lost the name that another one's description holds."""

from __future__ import annotations

from dataclasses import replace

from ..volume import Attributes
from .facts import FileFacts
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
