"""Matches of other indexes than the open database's: what is known of their volumes is in the match."""

from __future__ import annotations

from pathlib import Path

from VolumeRetrievalEngine.searching.match import Match

from .IndexContents import IndexedVolume


def isElsewhere(match: Match, folder: Path) -> bool:
    """Whether a match is not from the index in this folder. Without several indexes a match does not say which."""
    return match.store not in ("", str(folder))


def archiveOf(match: Match) -> Path:
    """The folder that its index was made of, as far as it is known: the one that paths are relative to."""
    file = match.file_paths[0]
    return file.parents[len(Path(match.files.paths[0]).parts) - 1]


def volumeOf(match: Match) -> IndexedVolume:
    """Where its files are, as its index says, and the instances of the first and the last matching slice.

    Ids of volumes that are not DICOM are unique in their index only, because they are made from relative paths; here
    they are told apart by the file.
    """
    place = match.place
    ends = {place.first_sop_uid, place.last_sop_uid} - {""} if place is not None else set()
    files = match.file_paths
    volumeID = match.volume_id if match.series_uid else f"{match.volume_id} {files[0]}"
    return IndexedVolume(volumeID, match.series_uid, files, frozenset(ends))
