"""A volume that is (part of) a DICOM series: its identity from the headers, its voxels when asked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import UnreadableFileError
from ...roots import Roots
from ...volume import Identity, Volume, dicom_volume_id
from ..facts import FileStamp, SeriesFacts, SliceFacts
from ..memory import check_memory
from ..modality import with_modality
from ..quiet import quiet
from ..source import Skipped, VolumeSource
from ..voxels import checked_voxels
from .criteria import Kind, kind_of
from .series_splitting import UNDECIDED, SeriesPart, split_series
from .slice_geometry import affine_of, geometry_notes, order_along_normal, slice_table
from .slice_pixels import read_slices, without_padding
from .telling_apart import FEWEST_SLICES


@dataclass(frozen=True)
class FoundSlice:
    """A slice, the file it is in and the series facts of that file."""

    stamp: FileStamp
    facts: SliceFacts
    series: SeriesFacts


@dataclass(frozen=True, repr=False)
class DicomSource(VolumeSource):
    """A volume of a DICOM series. `slices` and `slice_paths` are in stack order."""

    slices: tuple[SliceFacts, ...] = ()
    slice_paths: tuple[str, ...] = ()

    def read(self) -> Volume:
        check_memory(self.path, (len(self.slices), *self.slices[0].matrix))
        with quiet():
            places = zip(map(Path, self.slice_paths), (one.frame for one in self.slices), strict=True)
            voxels, damaged = read_slices(list(places))
        intact = [row for row in range(len(self.slices)) if row not in damaged]
        if len(intact) < max(FEWEST_SLICES, len(damaged)):
            raise next(iter(damaged.values()))
        slices = tuple(self.slices[row] for row in intact)
        voxels = voxels[intact] if damaged else voxels
        expected = (len(slices), *slices[0].matrix)
        if voxels.shape != expected:
            raise UnreadableFileError(
                self.path, f"read {voxels.shape} voxels where the headers announce {expected}; scan the folder again"
            )
        voxels, notes = checked_voxels(without_padding(voxels, self.attributes.modality, self.path), self.path)
        table = slice_table(slices)
        return Volume(
            voxels=voxels,
            affine=affine_of(slices, table),
            slices=table,
            identity=self.identity,
            files=self.files,
            attributes=with_modality(self.attributes, voxels),
            notes=(*self.notes, *_damage_notes(damaged, len(self.slices)), *notes),
        )


def _damage_notes(damaged: Mapping[int, UnreadableFileError], count: int) -> tuple[str, ...]:
    if not damaged:
        return ()
    first = next(iter(damaged.values()))
    more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
    return (f"{len(damaged)} of {count} slices left out: {first.path.name}: {first.reason}{more}",)


def volumes_of_series(found: Sequence[FoundSlice], roots: Roots) -> tuple[list[DicomSource], list[Skipped]]:
    """The volumes in the slices of one series, and the files of parts with too few slices."""
    unique, duplicates = _without_copies(found)
    owners = [f"{one.series.patient_token} {one.series.study_token}" for one in unique]
    sources, skipped = [], []
    for part in split_series([one.facts for one in unique], owners):
        members = [unique[number] for number in part.members]
        if part.refused or len(members) < FEWEST_SLICES:
            reason = part.refused or _too_few(members)
            skipped += [Skipped(Path(path), reason, failed=reason == UNDECIDED) for path in _paths(members)]
        else:
            sources.append(_source(members, part, duplicates, roots))
    return sources, skipped


def _without_copies(found: Sequence[FoundSlice]) -> tuple[list[FoundSlice], int]:
    """One of each instance and frame (of copies the first by path), and how many files were left out for it.

    Slices at different positions, or of different echoes, say, are no copies: some de-identifiers give all slices of a
    series one SOPInstanceUID. Copies may lack elements, or have another time of their content.
    """
    kept: dict[tuple, list[FoundSlice]] = {}
    copies = set()
    for one in sorted(found, key=lambda one: (one.stamp.path, one.facts.frame)):
        facts = one.facts
        alike = kept.setdefault((facts.sop_uid, facts.frame, facts.instance, facts.position), [])
        if any(_same_image(other.facts, facts) for other in alike):
            copies.add(one.stamp.path)
        else:
            alike.append(one)
    return [one for alike in kept.values() for one in alike], len(copies)


def _same_image(one: SliceFacts, other: SliceFacts) -> bool:
    values = dict(one.criteria)
    return all(values.get(name, value) == value for name, value in other.criteria if kind_of(name) in _NAMES_IMAGES)


_NAMES_IMAGES = (Kind.CONTRAST, Kind.REPETITION)


def _too_few(members: Sequence[FoundSlice]) -> str:
    return f"fewer than {FEWEST_SLICES} slices ({len(members)} of this image in the series)"


def _source(members: list[FoundSlice], part: SeriesPart, duplicates: int, roots: Roots) -> DicomSource:
    first = members[0]  # in InstanceNumber order: the attributes of a volume are those of its first instance
    ordered = [members[number] for number in order_along_normal([one.facts for one in members])]
    slices = tuple(one.facts for one in ordered)
    notes = [*part.notes, *geometry_notes(slice_table(slices))]
    if duplicates:
        notes.append(f"{duplicates} file{'s' if duplicates > 1 else ''} left out as copies of instances in the series")
    paths = _paths(ordered)
    identity = Identity(
        volume_id=dicom_volume_id(first.series.series_uid, part.key),
        fingerprint=_fingerprint(ordered),
        series_uid=first.series.series_uid,
        patient_token=first.series.patient_token,
        study_token=first.series.study_token,
    )
    return DicomSource(
        identity=identity,
        files=roots.source_files(paths),
        attributes=first.series.attributes,
        notes=tuple(notes),
        size_bytes=sum({one.stamp.path: one.stamp.size for one in ordered}.values()),
        path=_shown_path(paths),
        n_slices=len(slices),
        slices=slices,
        slice_paths=tuple(one.stamp.path for one in ordered),
    )


def _paths(members: Sequence[FoundSlice]) -> list[str]:
    return list(dict.fromkeys(one.stamp.path for one in members))


def _shown_path(paths: Sequence[str]) -> Path:
    if len(paths) == 1:
        return Path(paths[0])
    folders = {str(Path(path).parent) for path in paths}
    return Path(os.path.commonpath(folders)) if len(folders) > 1 else Path(folders.pop())


def _fingerprint(ordered: Sequence[FoundSlice]) -> str:
    """Of the SOP UIDs in stack order with sizes and times (whole seconds: not every file system keeps more)."""
    digest = hashlib.sha256()
    for one in ordered:
        stamp = one.stamp
        line = f"{one.facts.sop_uid} {one.facts.frame} {stamp.size} {stamp.modified_ns // 1_000_000_000}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:32]
