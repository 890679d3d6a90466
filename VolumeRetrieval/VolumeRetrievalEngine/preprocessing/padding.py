"""What a volume is filled up with around the scan, where no attribute says it: one value in its corners.

Outside the reconstruction circle, where a resampled image has no data, or around a skull-stripped brain. Mostly the
value is as low as air, and needs no care. Where it is not (0 in a CT is water), it would be taken for the body.
"""

from __future__ import annotations

import numpy as np

#: More than this share of the slices' corners have the very same value where an image is filled up.
_OF_CORNERS = 0.5

#: HU above which the filling of a CT would be taken for tissue.
_TISSUE_HU = -300.0


def misleading_padding(voxels: np.ndarray, sample: np.ndarray, hounsfield: bool) -> float | None:
    """The filling's value, if it would be taken for something else than air; None otherwise.

    In a CT that is any value above -300 HU. Elsewhere it is one that lies farther from all others than these are apart
    (-32768 around an MR), because gray values would be spread over the gap.

    Args:
        voxels: float32 [k, j, i]; NaN is no filling.
        sample: float32 [m], some of them, all finite.
        hounsfield: whether values are HU.
    """
    corners = voxels[:, :: max(1, voxels.shape[1] - 1), :: max(1, voxels.shape[2] - 1)].reshape(-1)
    values, counts = np.unique(corners[np.isfinite(corners)], return_counts=True)
    if not counts.size or counts.max() <= _OF_CORNERS * corners.size:
        return None
    filling = float(values[counts.argmax()])
    if hounsfield and filling <= _TISSUE_HU:
        return None
    others = sample[sample != np.float32(filling)]
    if not others.size:
        return None
    if hounsfield:
        return filling
    low, high = float(others.min()), float(others.max())
    is_far = filling < low - (high - low) or filling > high + (high - low)
    return filling if is_far and high > low else None
