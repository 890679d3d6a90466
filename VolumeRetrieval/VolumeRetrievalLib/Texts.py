"""How numbers and matches are put into words, in one place."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _
from VolumeRetrievalEngine.method.place import Place
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.readable import readable_size as size
from VolumeRetrievalEngine.searching.likeness import Likeness
from VolumeRetrievalEngine.searching.match import Match, SearchResult

from .Values import DatabaseStatus, IndexReport, ShownPair, SkippedSeries


def duration(seconds: float) -> str:
    if seconds < 60:
        return _("less than a minute")
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{n} min").format(n=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def planeName(plane: str) -> str:
    """ "axial", in the user's language."""
    return {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}[plane]


def stackEnds(plane: str) -> tuple[str, str]:
    """Where the first and the last slice of a plane's stack lie, in the user's language."""
    return {
        "axial": (_("inferior"), _("superior")),
        "coronal": (_("posterior"), _("anterior")),
        "sagittal": (_("left"), _("right")),
    }[plane]


def indexTitle(status: DatabaseStatus) -> str:
    """ "Index: 17 of 18 series": those that can be searched, of those that are or could be."""
    if not status.directory:
        return _("Index: no DICOM database")
    if status.indexing is not None and status.indexing.total:
        step = status.indexing
        text = {
            "scan": _("Index: file {done} of {total}"),
            "build": _("Index: preparing search, {done} of {total}"),
        }.get(step.stage, _("Index: indexing {done} of {total}"))
        return text.format(done=f"{step.done:,}", total=f"{step.total:,}")
    if status.indexing is not None:
        return _("Index: indexing")
    if status.reading:
        return _("Index: reading the database")
    return _("Index: {indexed} of {series} series").format(
        indexed=f"{status.indexedSeries:,}", series=f"{status.indexedSeries + status.notIndexed:,}"
    )


def databaseStatus(status: DatabaseStatus) -> str:
    """How much can be searched, and what to do about the rest."""
    if status.problem:
        return status.problem
    if status.reading:
        return _("Reading the DICOM database...")
    lines = []
    if status.notIndexed:
        lines.append(_("{n} series are not indexed yet.").format(n=f"{status.notIndexed:,}"))
    elif status.volumes:
        lines.append(_("All series are indexed."))
    if status.removed:
        lines.append(_("{n} indexed series are no longer in the database.").format(n=f"{status.removed:,}"))
    if status.volumes and status.nextSliceStepMm != status.sliceStepMm:
        lines.append(
            _("The index has {now}; the next update makes one with {then}.").format(
                now=sliceStep(status.sliceStepMm), then=sliceStep(status.nextSliceStepMm)
            )
        )
    if status.better:
        lines.append(_whyBetter(status) + " " + _("A new index is made from this one, and can be searched meanwhile."))
    return "\n".join(lines)


def _whyBetter(status: DatabaseStatus) -> str:
    reasons = []
    if status.isEarlierEdition:
        reasons.append(_("The bundled encoder has a newer edition than the one that made this index."))
    if status.isEarlier:
        reasons.append(_("Slices are prepared better now than when this index was made."))
    return " ".join(reasons) or _("A better encoder can run here now.")


def likeness(found: Likeness) -> str:
    """The three words of Likeness.words, in the user's language."""
    if found.is_close:
        return _("close match")
    return _("nothing like it") if found.is_nothing else _("some likeness")


def likenessDetails(found: Likeness) -> str:
    """What the words stand for."""
    text = _("{likeness}: {n}% of the indexed volumes have no neighbor as similar as this.")
    return text.format(likeness=likeness(found).capitalize(), n=round(100 * found.standing))


def nothingAlike(found: Likeness) -> str:
    """Above a list whose best result is nothing like the query."""
    details = _("{n}% of the indexed volumes have a closer neighbor.")
    title = _("Nothing like it here.")
    return f"<b>{title}</b> " + details.format(n=round(100 * (1 - found.standing)))


def sliceStep(millimeters: float) -> str:
    """ "a slice every 3 mm"."""
    return _("a slice every {step} mm").format(step=f"{millimeters:g}") if millimeters else _("every slice")


def indexDetails(status: DatabaseStatus) -> str:
    """Where the index is, how large, and what it was made with: for a tooltip."""
    lines = [status.directory]
    if status.volumes:
        lines.append(
            _("{volumes} volumes, {slices} slices, {size}").format(
                volumes=f"{status.volumes:,}", slices=f"{status.slices:,}", size=size(status.sizeBytes)
            )
        )
        text = _("Encoder: {encoder}, an earlier edition") if status.isEarlierEdition else _("Encoder: {encoder}")
        lines.append(text.format(encoder=status.encoder))
        lines += [f"{place}: {count:,}" for place, count in status.madeOn.items()]
    elif status.directory:
        lines.append(_("It will be indexed with: {encoder}").format(encoder=status.encoder))
    return "\n".join(line for line in lines if line)


def indexReport(report: IndexReport) -> str:
    """What an indexing run has changed."""
    parts = [
        (report.added, _("{n} added")),
        (report.removed, _("{n} removed")),
        (report.failed, _("{n} failed")),
    ]
    news = [text.format(n=f"{count:,}") for count, text in parts if count]
    return _("Index updated: {news}.").format(news=", ".join(news)) if news else _("The index was up to date.")


def skipped(series: Sequence[SkippedSeries]) -> str:
    """ "2 series skipped, 1 failed"."""
    failed = sum(one.failed for one in series)
    text = _("{n} series skipped").format(n=len(series) - failed)
    return text + ", " + _("{n} failed").format(n=failed) if failed else text


def searchProgress(step: Progress) -> str:
    """What stands on the progress bar: short."""
    if step.stage == "search":
        return _("Searching")
    if step.total and step.stage == "build":
        return _("Preparing search, {done} of {total}").format(done=f"{step.done:,}", total=f"{step.total:,}")
    if step.total and step.stage == "scan":
        return _("File {done} of {total}").format(done=f"{step.done:,}", total=f"{step.total:,}")
    if step.total:
        return _("Indexing {done} of {total}").format(done=f"{step.done:,}", total=f"{step.total:,}")
    return _("Stopping") if step.stage == "stopping" else _("Preparing")


def progress(step: Progress) -> str:
    """How far indexing is, how long it will take, and what is being read."""
    if step.stage == "search":
        return _("Searching")
    if step.stage == "stopping":
        return _("Stopping after the current volume...")
    if step.total:
        done, total = f"{step.done:,}", f"{step.total:,}"
        if step.stage == "scan":
            text = _("{done} of {total} files scanned").format(done=done, total=total)
        elif step.stage == "build":
            text = _("Search index: {done} of {total} volumes").format(done=done, total=total)
        else:
            text = _("{done} of {total} volumes").format(done=done, total=total)
    else:
        text = _("Looking for series")
    if step.remaining is not None:
        text += ", " + _("{time} left").format(time=duration(step.remaining))
    return f"{text}\n{step.item}" if step.item and step.stage != "build" else text


def searchDetails(result: SearchResult) -> str:
    """For the tooltip of the results' title: how many volumes were searched, how, and how fast."""
    lines = [
        _("{n} volumes searched in {seconds} s").format(
            n=f"{result.n_volumes:,}", seconds=f"{sum(result.seconds.values()):.1f}"
        )
    ]
    if result.encoder:
        lines.append(_("Encoder: {encoder}").format(encoder=result.encoder))
    return "\n".join([*lines, *result.notes])


def download(step: Progress) -> str:
    """ "12 MB of 86 MB, 2 min left"; the steps of a download count bytes."""
    if not step.done:
        return _("Connecting")
    if not step.total:
        return size(step.done)
    text = _("{done} of {total}").format(done=size(step.done), total=size(step.total))
    if step.remaining is not None:
        text += ", " + _("{time} left").format(time=duration(step.remaining))
    return text


def slicesInWords(first: int, last: int) -> str:
    """ "slices 41-63" of the 0-based 40 and 62: people count from 1."""
    if first == last:
        return _("slice {n}").format(n=first + 1)
    return _("slices {first}-{last}").format(first=first + 1, last=last + 1)


def sliceNumbers(one: Place) -> str:
    """ "slices 41-63"."""
    return slicesInWords(one.first_slice, one.last_slice)


def matchedRange(one: Place, sliceCount: int) -> str:
    """ "slices 41-63 of 120, 66 mm"."""
    text = _("{slices} of {count}").format(slices=sliceNumbers(one), count=sliceCount)
    if one.first_slice == one.last_slice:
        return text
    return _("{slices}, {extent} mm").format(slices=text, extent=f"{one.extent_mm:.0f}")


def placeDetails(match: Match, queryPlane: str) -> list[str]:
    """Where the match lies, how sure that is, and which part of the query is not in it; for a tooltip."""
    one = match.place
    if one is None:
        return []
    if one.missing_before >= 1:
        return [_("No part of the query lies in this volume.")]
    lines = [
        _("Matches at {range} ({similarity})").format(
            range=matchedRange(one, match.n_slices), similarity=similarity(one.similarity)
        )
    ]
    if not one.is_certain:
        lines.append(_("The place is uncertain: it is hardly better than chance."))
    for share, end in zip((one.missing_before, one.missing_after), stackEnds(queryPlane), strict=True):
        if share > 0:
            text = _("The {end} {share} of the query is not in this volume.")
            lines.append(text.format(end=end, share=f"{max(share, 0.01):.0%}"))
    return lines


def bestRange(match: Match) -> str:
    """Where the match lies, with the number of its slices and the extent; empty if that is not known."""
    return matchedRange(match.place, match.n_slices) if match.place is not None else ""


def bestSlices(match: Match) -> str:
    """Where the match lies, with a question mark where that is uncertain; empty if it is not known."""
    if match.place is None:
        return ""
    text = sliceNumbers(match.place)
    return text if match.place.is_certain else _("{slices}?").format(slices=text)


def pair(shown: ShownPair) -> str:
    """ "slice 63 <-> 59: 0.99": of the query and of the result."""
    text = _("slice {query} <-> {slice}").format(query=shown.querySlice + 1, slice=shown.slice + 1)
    return text if shown.similarity is None else f"{text}: {similarity(shown.similarity)}"


def similarity(value: float) -> str:
    return f"{value:.2f}"
