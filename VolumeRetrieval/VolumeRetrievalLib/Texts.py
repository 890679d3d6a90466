"""How numbers and matches are put into words, in one place."""

from __future__ import annotations

from slicer.i18n import tr as _
from VolumeRetrievalEngine.method.localization import MatchedRange
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.readable import readable_size as size
from VolumeRetrievalEngine.searching.match import Match

from .Values import DatabaseStatus


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


def databaseStatus(status: DatabaseStatus) -> str:
    if status.problem:
        return status.problem
    if status.reading:
        return _("Reading the DICOM database...")
    text = _("{volumes} of {expected} volumes indexed, {slices} slices, {size}").format(
        volumes=f"{status.volumes:,}",
        expected=f"{status.expected:,}",
        slices=f"{status.slices:,}",
        size=size(status.sizeBytes),
    )
    if status.notIndexed:
        text += "\n" + _("{n} series not indexed").format(n=f"{status.notIndexed:,}")
    if status.removed:
        text += "\n" + _("{n} series no longer in the database").format(n=f"{status.removed:,}")
    return text


def indexEncoder(status: DatabaseStatus) -> str:
    """Which encoder the numbers are of."""
    if not status.volumes:
        return _("It will be indexed with: {encoder}").format(encoder=status.encoder)
    text = _("Indexed with: {encoder}").format(encoder=status.encoder)
    if status.sliceStepMm != status.nextSliceStepMm:
        text += "\n" + _("Searched with {now}; the next update makes an index with {then}.").format(
            now=sliceStep(status.sliceStepMm), then=sliceStep(status.nextSliceStepMm)
        )
    if status.madeOn:
        text += "\n" + _("It ran on: {places}").format(places=_places(status.madeOn))
    if status.better:
        text += "\n" + _("A better encoder can run here now. Its index is made beside this one, which stays.")
    return text


def sliceStep(millimeters: float) -> str:
    """ "a slice every 3 mm"."""
    return _("a slice every {step} mm").format(step=f"{millimeters:g}") if millimeters else _("every slice")


def _places(madeOn: dict[str, int]) -> str:
    """ "cpu (MONAI), float32"; with the number of volumes where there is more than one."""
    if len(madeOn) == 1:
        return next(iter(madeOn))
    return "; ".join(f"{place}: {count:,}" for place, count in madeOn.items())


def progress(step: Progress) -> str:
    if step.stage == "stopping":
        return _("Stopping after what is being read now...")
    counted = {"scan": _("{done} of {total} files"), "index": _("{done} of {total} volumes")}
    if step.total:
        text = counted.get(step.stage, _("{done} of {total}"))
        text = text.format(done=f"{step.done:,}", total=f"{step.total:,}")
    else:
        text = _("Looking for series")
    if step.remaining is not None:
        text += ", " + _("{time} left").format(time=duration(step.remaining))
    return f"{text}\n{step.item}" if step.item else text


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


def sliceNumbers(one: MatchedRange) -> str:
    """ "slices 41-63"; people count from 1."""
    first, last = one.first_slice + 1, one.last_slice + 1
    return (
        _("slice {n}").format(n=first) if first == last else _("slices {first}-{last}").format(first=first, last=last)
    )


def matchedRange(one: MatchedRange, sliceCount: int) -> str:
    """ "slices 41-63 of 120, 66 mm"; people count from 1."""
    first, last = one.first_slice + 1, one.last_slice + 1
    if first == last:
        return _("slice {first} of {count}").format(first=first, count=sliceCount)
    return _("slices {first}-{last} of {count}, {extent} mm").format(
        first=first, last=last, count=sliceCount, extent=f"{one.extent_mm:.0f}"
    )


def bestRange(match: Match) -> str:
    ranges = match.ranges
    return matchedRange(max(ranges, key=lambda one: one.weight), match.n_slices) if ranges else ""


def similarity(value: float) -> str:
    return f"{value:.3f}"
