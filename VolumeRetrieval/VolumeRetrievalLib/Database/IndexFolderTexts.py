"""What is wrong with an index folder, in the words of the panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.searched_store import SearchedStore

from ..Encoders import EncoderTexts

#: Names that say nothing about whose index it is.
_COMMON_NAMES = {"index", "indexes", "store", "stores", "volumeretrieval"}


def problem(kind: str, text: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """A word or two, and a sentence that says what to do. `kind` is the engine's class of error, `text` its text and
    `fields` its values (errors.py)."""
    if kind == "NotAnsweringError":
        reason = _("The folder does not answer. Is its server on, and this computer connected to it?")
        return _("not reachable"), reason
    if kind == "NoStoreError" and not fields.get("exists"):
        return _("not reachable"), _("The index is not there now. If it is on a share or a drive, connect it.")
    if kind == "NoStoreError":
        return _("no index"), _(
            "There is no index in this folder. Expected: the folder that volumes were indexed into (--store on the "
            "command line), or VolumeRetrieval in the folder of a DICOM database."
        )
    if kind == "OtherRecipeError":
        encoders = ", ".join(EncoderTexts.short(EncoderTexts.title(one)) for one in fields.get("encoders", ()))
        if fields.get("expected") in fields.get("encoders", ()):
            sentence = _(
                "Made with {encoder}, but other settings (slice step, weights, or an earlier version): not searched."
            )
            return _("other settings"), sentence.format(encoder=encoders)
        sentence = _("Made with another encoder ({encoder}): not searched. Under Encoder, choose one that both have.")
        return _("other encoder"), sentence.format(encoder=encoders)
    return _("not usable"), text


def name(folder: str) -> str:
    """What an index is called where there is little room: its folder, and the one around it if that alone says
    nothing."""
    path = Path(folder)
    if path.name.lower() in _COMMON_NAMES and path.parent.name:
        return f"{path.parent.name}/{path.name}" if path.name.lower() != "volumeretrieval" else path.parent.name
    return path.name or folder


def names(folders: Sequence[str]) -> dict[str, str]:
    """By folder; those that would be called the same are called by their path."""
    short = {one: name(one) for one in folders}
    called = list(short.values())
    return {one: text if called.count(text) == 1 else one for one, text in short.items()}


def notes(stores: Sequence[SearchedStore]) -> list[str]:
    """What the user has to know of a search in several indexes, of which the first is the open database's: a line each
    for what was not searched, and for where the query's patient is not known."""
    lines, lost, strangers = [], [], []
    for one, called in _called(stores):
        if one is stores[0] and one.problem_type == "NoStoreError":
            lines.append(_("Nothing of this database is indexed yet: only the other index folders were searched."))
        elif one.problem:
            short, _sentence = problem(one.problem_type, one.problem, one.problem_fields)
            lost.append(_("{index} ({reason})").format(index=called, reason=short))
        elif not one.knows_patient:
            strangers.append(called)
    if lost:
        lines.append(_("Not searched: {indexes}.").format(indexes=", ".join(lost)))
    if strangers:
        text = _("The query's patient is not known in {indexes}: volumes of the same patient there are not left out.")
        lines.append(text.format(indexes=", ".join(strangers)))
    return lines


def details(stores: Sequence[SearchedStore]) -> list[str]:
    """The same for a tooltip: what was not searched with its folder, and what to do about it."""
    lost = [one for one in stores if one.problem]
    return [f"{one.folder}: {problem(one.problem_type, one.problem, one.problem_fields)[1]}" for one in lost]


def _called(stores: Sequence[SearchedStore]) -> list[tuple[SearchedStore, str]]:
    short = names([one.folder for one in stores])
    return [(one, _("the index of this database") if one is stores[0] else short[one.folder]) for one in stores]
