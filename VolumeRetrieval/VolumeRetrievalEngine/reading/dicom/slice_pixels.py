"""Pixels of single slices and frames, rescaled one by one: for what SimpleITK's series reader does not read rightly.

That is enhanced multi-frame CT, MR and PET (GDCM applies the first frame's rescale to all), MONOCHROME1 (GDCM inverts
it), and files that GDCM refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ...errors import UnreadableFileError
from ..itk_paths import check_is_text
from .functional_groups import frame_groups, rescale_of
from .values import numbers


def read_slices(places: Sequence[tuple[Path, int]]) -> np.ndarray:
    """float32 [n, j, i] of n (file, frame) places; frame -1 for a single-frame file. UnreadableFileError."""
    rows_of: dict[Path, list[int]] = {}
    for row, (path, _) in enumerate(places):
        rows_of.setdefault(path, []).append(row)
    voxels: np.ndarray | None = None
    for path, rows in rows_of.items():
        frames = [places[row][1] for row in rows]
        for row, pixels in zip(rows, _frames(path, frames), strict=True):
            if voxels is None:
                voxels = np.empty((len(places), *pixels.shape), np.float32)
            if pixels.shape != voxels.shape[1:]:
                raise UnreadableFileError(path, f"{pixels.shape} pixels in a stack of {voxels.shape[1:]}")
            voxels[row] = pixels
    if voxels is None:
        raise ValueError("no slices were asked for")
    return voxels


def _frames(path: Path, frames: list[int]) -> Iterator[np.ndarray]:
    """Rescaled pixels [j, i] of these frames of one file."""
    try:
        data_set = pydicom.dcmread(path, force=True)
        _ensure_transfer_syntax(data_set)
        rescales = _rescales(data_set)
        for frame, stored in zip(frames, _stored(path, data_set, frames, rescales), strict=True):
            slope, intercept = rescales[max(frame, 0)]
            yield stored * slope + intercept
    except (UnreadableFileError, MemoryError):
        raise
    except OSError as error:
        raise UnreadableFileError(path, f"not readable: {error.strerror or type(error).__name__}") from None
    except Exception as error:  # pydicom and its decoders raise many kinds; their text may quote values
        raise UnreadableFileError(path, f"its pixel data cannot be decoded ({type(error).__name__})") from None


def _stored(
    path: Path, data_set: Dataset, frames: list[int], rescales: list[tuple[float, float]]
) -> Iterator[np.ndarray]:
    """Stored values (before rescale) of these frames."""
    syntax = data_set.file_meta.TransferSyntaxUID
    decodable = not syntax.is_compressed or get_decoder(syntax).is_available
    if decodable and data_set.BitsAllocated != 12:
        yield from iter_pixels(data_set, indices=[max(frame, 0) for frame in frames], raw=True)
        return
    slope, intercept = rescales[0]
    everything = _decoded_by_gdcm(path, syntax.name)
    for frame in frames:
        # GDCM has applied the first frame's rescale to every frame.
        yield np.round((everything[max(frame, 0)] - intercept) / slope)


def _decoded_by_gdcm(path: Path, syntax: str) -> np.ndarray:
    """float64 [frames, j, i] of a file that pydicom has no decoder for."""
    check_is_text(path)
    try:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat64, "GDCMImageIO"))
    except RuntimeError:
        raise UnreadableFileError(
            path,
            f"neither GDCM nor pydicom can decode it ({syntax}): install the Python package pylibjpeg, or convert it",
        ) from None
    return pixels if pixels.ndim == 3 else pixels[None]


def _rescales(data_set: Dataset) -> list[tuple[float, float]]:
    """(slope, intercept) of every frame: of its functional groups if it has them, else of the instance."""
    count = int(data_set.get("NumberOfFrames") or 1)
    found = [rescale_of(groups) for groups in frame_groups(data_set)]
    if len(found) == count:
        return found
    slope = numbers(data_set, "RescaleSlope", 1)
    intercept = numbers(data_set, "RescaleIntercept", 1)
    return [((slope[0] if slope else 1.0), (intercept[0] if intercept else 0.0))] * count


def _ensure_transfer_syntax(data_set: Dataset) -> None:
    """Files without preamble often lack it; how pydicom could read their header tells it."""
    if not getattr(data_set.file_meta, "TransferSyntaxUID", None):
        implicit = data_set.original_encoding[0]
        data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
