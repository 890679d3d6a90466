"""Reading one volume that somebody points at: a file, a folder, or the files of a series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import NotAVolumeError, UnreadableFileError, VolumeRetrievalError
from ..patients import PatientTokens
from ..roots import Roots, absolute_path
from ..volume import Volume
from .discovery import discover
from .image_files.headers import image_ending
from .metadata import MetadataTable
from .source import Discovery, VolumeSource

#: Volumes that an error lists to choose from; a whole archive was hardly meant.
_LISTED = 30


def read_volume(
    path_or_files: Path | str | Sequence[Path | str],
    *,
    tokens: PatientTokens | None = None,
    metadata: MetadataTable | None = None,
    modality: str = "",
    volume: int | None = None,
    roots: Roots | None = None,
) -> Volume:
    """One volume: of a file, of a folder, or of the files of one series.

    A single DICOM slice stands for the series it belongs to, in its folder. Where there are several volumes, `volume`
    chooses one by its number in the list that the error gives.

    Raises:
        UnreadableFileError, NotAVolumeError: there is none, or there are several and none is chosen.

    Example:
        >>> volume = read_volume("archive/chest-0.nii.gz", modality="CT")
        >>> volume.voxels.ndim, volume.attributes.modality
        (3, 'CT')
    """
    source = find_volume(path_or_files, tokens=tokens, metadata=metadata, modality=modality, volume=volume, roots=roots)
    return source.read()


def find_volume(
    path_or_files: Path | str | Sequence[Path | str],
    *,
    tokens: PatientTokens | None = None,
    metadata: MetadataTable | None = None,
    modality: str = "",
    volume: int | None = None,
    roots: Roots | None = None,
) -> VolumeSource:
    """As :func:`read_volume`, without reading the voxels."""
    single = isinstance(path_or_files, (str, Path))
    given = [path_or_files] if isinstance(path_or_files, (str, Path)) else path_or_files
    paths = [absolute_path(one) for one in given]
    if not paths:
        raise NotAVolumeError("(no files)", "expected a file, a folder or the files of a series")
    slice_file = paths[0] if len(paths) == 1 and paths[0].is_file() and not image_ending(paths[0].name) else None
    searched = sorted(one for one in paths[0].parent.iterdir() if one.is_file()) if slice_file else paths
    found = discover(
        searched,
        root=roots or Roots(),
        metadata=metadata,
        modality=modality,
        tokens=tokens or PatientTokens.ephemeral(),
    )
    if slice_file is not None:
        found = _with_file(found, slice_file)
    return _chosen(found, paths[0] if single or len(paths) == 1 else paths[0].parent, volume)


def _with_file(found: Discovery, file: Path) -> Discovery:
    """The volumes that this file is part of, and why it is part of none."""
    own = [one for one in found.sources if str(file) in getattr(one, "slice_paths", ())]
    return Discovery(own, [one for one in found.skipped if one.path == file])


def _chosen(found: Discovery, path: Path, volume: int | None) -> VolumeSource:
    sources = found.sources
    if not sources:
        raise _why_none(found, path)
    if volume is not None:
        if not 0 <= volume < len(sources):
            raise NotAVolumeError(path, f"holds no volume number {volume}; {_listing(sources)}")
        return sources[volume]
    if len(sources) > 1:
        choose = "Choose one by its number (--volume), or name its file or folder"
        raise NotAVolumeError(path, f"{_listing(sources)}\n{choose}")
    return sources[0]


def _listing(sources: Sequence[VolumeSource]) -> str:
    lines = [
        f"  {number}: {source.path}, {source.n_slices} slices"
        + (f", {source.attributes.modality}" if source.attributes.modality else "")
        + (f" ({'; '.join(source.notes)})" if source.notes else "")
        for number, source in enumerate(sources[:_LISTED])
    ]
    if len(sources) > _LISTED:
        lines.append(f"  ... and {len(sources) - _LISTED} more")
    return "\n".join([f"it holds {len(sources)} volume{'s' if len(sources) > 1 else ''}:", *lines])


def _why_none(found: Discovery, path: Path) -> VolumeRetrievalError:
    if failures := found.failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        return UnreadableFileError(failures[0].path, failures[0].reason + more)
    if len(found.skipped) == 1:
        return NotAVolumeError(found.skipped[0].path, found.skipped[0].reason)
    reasons = "; ".join(f"{count} x {reason}" for reason, count in list(found.summary().items())[:5])
    return NotAVolumeError(path, f"holds no volume ({reasons or 'no files'})")
