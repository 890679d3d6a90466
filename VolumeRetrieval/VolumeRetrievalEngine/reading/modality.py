"""Which modality an image without attributes is of, judged from its intensities alone."""

from __future__ import annotations

import numpy as np

from ..volume import Attributes

#: As many voxels are looked at, evenly spread over the volume.
_SAMPLE = 500_000
#: HU of air (around the body, in the lungs) and of soft tissue and fat, with some noise.
_AIR_HU, _TISSUE_HU = (-1100.0, -700.0), (-150.0, 200.0)
#: Least share of a CT's voxels in each of the two.
_AIR_SHARE, _TISSUE_SHARE = 0.01, 0.02
#: HU between lung and fat: rare in a CT, while nothing keeps the intensities of an MR out of a range.
_BETWEEN_HU, _TISSUE_TO_BETWEEN = (-650.0, -200.0), 3.5
#: What many CTs stored as unsigned integers are shifted by.
_UNSIGNED_SHIFT = 1024.0


def with_modality(attributes: Attributes, voxels: np.ndarray) -> Attributes:
    """These attributes, with the modality inferred from the voxels if they name none."""
    if attributes.modality:
        return attributes
    inferred = infer_modality(voxels)
    return attributes.updated(modality=inferred, modality_from="inferred" if inferred else "")


def infer_modality(voxels: np.ndarray) -> str:
    """ "CT", "MR" or "" (not sure) for voxels float32 [k, j, i].

    CT if there are voxels both of air and of soft tissue on the Hounsfield scale. Otherwise MR if hardly any voxel is
    negative and the bright ones are not few and far brighter than the rest, as in PET, whose values (unlike stored MR)
    are seldom whole numbers. PT is never said: too little separates it from a skewed MR map. A CT that was cut to a
    window, or shifted by +1024 to be unsigned, cannot be known for one; it gives "" where it is noticed.

    Measured on 107 volumes of public collections (55 CT, 49 MR, 3 PET): all CT but one that is windowed are found, all
    MR are found, and nothing is taken for what it is not. The thresholds were set looking at the same volumes.
    """
    sample = voxels.reshape(-1)[:: max(1, voxels.size // _SAMPLE)]
    if _air_and_tissue(sample):
        return "CT"
    if _shifted_hounsfield(sample):
        return ""
    return "MR" if _like_magnetic_resonance(sample) else ""


def _air_and_tissue(sample: np.ndarray) -> bool:
    return _share(sample, _AIR_HU) >= _AIR_SHARE and _share(sample, _TISSUE_HU) >= _TISSUE_SHARE


def _shifted_hounsfield(sample: np.ndarray) -> bool:
    shifted = sample - _UNSIGNED_SHIFT
    few_between = _share(shifted, _TISSUE_HU) >= _TISSUE_TO_BETWEEN * _share(shifted, _BETWEEN_HU)
    return _air_and_tissue(shifted) and few_between


def _like_magnetic_resonance(sample: np.ndarray) -> bool:
    lowest, bright, highest = np.percentile(sample, (0.0, 99.9, 100.0))
    if bright <= max(lowest, 0.0) or np.mean(sample < -0.05 * bright) > 0.02 or highest > 4 * bright:
        return False
    if len(np.unique(sample[: _SAMPLE // 5])) < 32:  # a label map, or too coarse to say
        return False
    whole = bool(np.all(sample == np.round(sample)))
    signal = sample[sample > lowest + 0.02 * (bright - lowest)]
    return whole or float(np.median(signal)) > 0.2 * bright


def _share(sample: np.ndarray, bounds: tuple[float, float]) -> float:
    return float(np.mean((sample > bounds[0]) & (sample < bounds[1])))
