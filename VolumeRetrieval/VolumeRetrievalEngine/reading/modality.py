"""Which modality an image without attributes is of, judged from its intensities alone."""

from __future__ import annotations

import numpy as np

from ..volume import Attributes


def with_modality(attributes: Attributes, voxels: np.ndarray) -> Attributes:
    """These attributes, with the modality inferred from the voxels if they name none."""
    if attributes.modality:
        return attributes
    inferred = infer_modality(voxels)
    return attributes.updated(modality=inferred, modality_from="inferred" if inferred else "")


def infer_modality(voxels: np.ndarray) -> str:
    """ "CT", "MR" or "" (not sure) for voxels float32 [k, j, i]."""
    return ""
