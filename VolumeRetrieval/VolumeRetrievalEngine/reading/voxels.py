"""What every volume's voxels are checked for after reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import NotAVolumeError, UnreadableFileError


def checked_voxels(voxels: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels float32 [k, j, i] without NaN or infinity (the least finite value stands for them), and notes.

    UnreadableFileError if none is finite; NotAVolumeError if all are the same: no slice would differ from another.
    """
    voxels = np.ascontiguousarray(voxels, dtype=np.float32)
    notes: tuple[str, ...] = ()
    lowest, highest = float(voxels.min()), float(voxels.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        finite = np.isfinite(voxels)
        count = int(finite.size - np.count_nonzero(finite))
        if count == finite.size:
            raise UnreadableFileError(path, "every voxel is NaN or infinite; write the volume again")
        lowest, highest = float(voxels[finite].min()), float(voxels[finite].max())
        voxels = np.where(finite, voxels, np.float32(lowest))
        notes = (f"{count} voxel{'s' if count > 1 else ''} NaN or infinite, read as {lowest:.6g}",)
    if lowest == highest:
        raise NotAVolumeError(path, f"no contrast: every voxel has the value {lowest:.6g}, so there is nothing to find")
    return voxels, notes
