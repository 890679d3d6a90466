"""From arrays and encoded images to Qt pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt


def pixmapFromArray(rgb: np.ndarray) -> Any:
    """A QPixmap of uint8 [height, width, 3]. As a PPM file, which Qt reads without a plugin and which needs no
    pointers to be passed (QPixmap::loadFromData takes bytes: PythonQtConversion.cpp, PyObjGetBytes)."""
    height, width, _ = rgb.shape
    return pixmapFromData(b"P6 %d %d 255\n" % (width, height) + np.ascontiguousarray(rgb, np.uint8).tobytes())


def pixmapFromData(data: bytes) -> Any:
    """A QPixmap of an encoded image; a null pixmap where there is none."""
    pixmap = qt.QPixmap()
    if data:
        pixmap.loadFromData(data)
    return pixmap
