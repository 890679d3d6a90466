"""A slice as a modality that there is not would show it: the anatomy stays, the grey values are made up.

Few patients have both CT and MR. A made-up contrast is a counterpart of any slice, and what the network learns of it is
what does not depend on contrast: outlines, and what lies inside of what (as in contrast synthesis for registration:
SynthMorph, Hoffmann et al. 2022).
"""

from __future__ import annotations

import numpy as np
import torch

from .slices import GREY_STEPS

#: Where the made-up grey values are drawn: HU above air (air, lung, fat, water, soft tissue, contrast, bone), and
#: thousandths of a grey range. Between them they are interpolated.
_HOUNSFIELD_KNOTS = np.array([0.0, 250, 880, 960, 1020, 1080, 1250, 1700])
_GREY_KNOTS = np.array([0.0, 120, 250, 400, 550, 700, 850, 1000])
#: Air and the background stay dark, as they are in every modality; lungs and compact bone mostly.
_DARK = 0.06
_MOSTLY_DARK = 0.3


def in_another_contrast(values: torch.Tensor, hounsfield: bool, random: np.random.Generator) -> torch.Tensor:
    """Slices float32 [n, h, w] of one volume, as slices.py keeps them, in one made-up contrast: thousandths again."""
    knots = _HOUNSFIELD_KNOTS if hounsfield else _GREY_KNOTS
    made_up = random.uniform(0, 1, len(knots))
    made_up[0] = random.uniform(0, _DARK)
    if hounsfield:
        made_up[1] = random.uniform(0, _MOSTLY_DARK)
        made_up[-2:] *= random.uniform(_MOSTLY_DARK, 1)
    # The whole range is used, as the percentiles of the preprocessing see to it.
    made_up[1:] *= 0.95 / max(made_up.max(), 0.5)
    mapped = np.interp(values.numpy(), knots, made_up * GREY_STEPS)
    return torch.from_numpy(mapped.astype(np.float32))
