"""Pixels of single slices and frames, each with its own rescale: what was measured, and where nothing was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom

from ...errors import NotAVolumeError, UnreadableFileError
from ..reasons import not_readable
from .measured_values import measured_values
from .stored_values import UndecodableError, stored_frames

#: HU of air, which stands for padding in CT.
AIR_HU = -1000.0


def read_slices(places: Sequence[tuple[Path, int]]) -> tuple[np.ndarray, dict[int, UnreadableFileError]]:
    """float32 [n, j, i] of n (file, frame) places, frame -1 for a single-frame file; NaN where pixels are padding.

    Also the places whose pixel data cannot be decoded, with the reason; they are NaN. UnreadableFileError for a file
    that is gone or has become something else.
    """
    rows_of: dict[Path, list[int]] = {}
    for row, (path, _) in enumerate(places):
        rows_of.setdefault(path, []).append(row)
    voxels: np.ndarray | None = None
    damaged: dict[int, UnreadableFileError] = {}
    for path, rows in rows_of.items():
        frames = [max(places[row][1], 0) for row in rows]
        for row, pixels in zip(rows, _frames(path, frames), strict=True):
            if isinstance(pixels, UnreadableFileError):
                damaged[row] = pixels
                continue
            if voxels is None:
                voxels = np.full((len(places), *pixels.shape), np.nan, np.float32)
            if pixels.shape != voxels.shape[1:]:
                raise UnreadableFileError(
                    path, f"{pixels.shape} pixels among slices of {voxels.shape[1:]}; export it again"
                )
            voxels[row] = pixels
    if voxels is None:
        raise next(iter(damaged.values())) if damaged else ValueError("no slices were asked for")
    return voxels, damaged


def without_padding(voxels: np.ndarray, modality: str, path: Path) -> np.ndarray:
    """float32 [k, j, i] with padding (NaN) as air: -1000 HU for CT, else the lowest value that was measured.

    NotAVolumeError if there is nothing else.
    """
    padding = np.isnan(voxels)
    if not padding.any():
        return voxels
    if padding.all():
        raise NotAVolumeError(path, "no contrast: every pixel is marked as padding, so nothing was measured")
    voxels[padding] = AIR_HU if modality == "CT" else np.nanmin(voxels)
    return voxels


def _frames(path: Path, frames: list[int]) -> Iterator[np.ndarray | UnreadableFileError]:
    """Measured values [j, i] of these frames of one file, or why one cannot be decoded."""
    try:
        data_set = pydicom.dcmread(path, force=True)
    except OSError as error:
        raise UnreadableFileError(path, not_readable(error)) from None
    except Exception as error:
        yield from [_undecodable(path, error)] * len(frames)
        return
    given = 0
    try:
        measured = measured_values(data_set)
        for number, frame in zip(frames, stored_frames(data_set, frames), strict=True):
            pixels = _undecodable(path, frame) if isinstance(frame, Exception) else measured(frame, number)
            given += 1
            yield pixels
    except MemoryError:
        raise
    except OSError as error:
        raise UnreadableFileError(path, not_readable(error)) from None
    except Exception as error:
        yield from [_undecodable(path, error)] * (len(frames) - given)


def _undecodable(path: Path, error: Exception) -> UnreadableFileError:
    """The text of pydicom's and its decoders' exceptions may quote values, so only their type is given."""
    reason = str(error) if isinstance(error, UndecodableError) else f"({type(error).__name__})"
    return UnreadableFileError(path, f"its pixel data cannot be decoded: {reason}".replace(": (", " ("))
