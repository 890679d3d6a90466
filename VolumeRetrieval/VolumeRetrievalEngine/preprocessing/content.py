"""Which slices show anything: those of air, padding and empty space around the body are not embedded.

They are alike in all volumes, whatever these show, and would match each other.
"""

from __future__ import annotations

import numpy as np

from .body_crop import CoarseBody
from .resampling import Box

#: The least share of what is shown that must be more than air: a disk of 7 mm in a box of 20 x 20 cm. Our choice, low:
#: the tip of a finger, or the spinal cord of a CT without anything else, is content.
_LEAST_SHARE = 0.001

#: Where values are no HU, half of the gray value at which the body's box begins: a slice may be dark.
_OF_LEVEL = 0.5**0.5


def with_content(voxels: np.ndarray, kept: np.ndarray, shown: Box, body: CoarseBody) -> np.ndarray:
    """Those of the kept slices that show something.

    Args:
        voxels: float32 [slices, rows, columns], of the whole stack.
        kept: int [n], numbers of slices.
        shown: what the images show of each.
        body: of the stack; says what is air, and how densely to look.

    Returns:
        int [m], m <= n.
    """
    down, along = (min(stride, length) for stride, length in zip(body.strides[1:], _lengths(shown), strict=True))
    sampled = voxels[:, shown.row0 : shown.row1 : down, shown.column0 : shown.column1 : along]
    above = body.threshold.above(np.asarray(sampled[kept], dtype=np.float32), (1, 3, 3), _OF_LEVEL)
    return kept[above.mean(axis=(1, 2)) >= _LEAST_SHARE]


def _lengths(box: Box) -> tuple[int, int]:
    return box.row1 - box.row0, box.column1 - box.column0
