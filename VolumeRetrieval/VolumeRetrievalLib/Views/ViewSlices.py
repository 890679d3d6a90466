"""Which slices of a volume a slice view shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from slicer.i18n import tr as _
from VolumeRetrievalEngine.query.stack_geometry import StackGeometry

from ..Scene.VolumeStack import stackOfVolume
from ..Texts import planeName

#: A view turned further than this from the slices shows several of them: there is no one slice to take.
MOST_DEGREES = 25.0


def rangeOfView(volumeNode: Any, sliceNode: Any, plane: str = "auto") -> tuple[int, int] | str:
    """First and last slice, 0-based in this plane's stack, that a slice view shows of a volume; or why it shows none.

    The slice nearest to the middle of the view counts, in any slice view, also one that was made later.
    """
    return rangeOfStack(stackOfVolume(volumeNode, plane), sliceNode)


def rangeOfStack(stack: StackGeometry, sliceNode: Any) -> tuple[int, int] | str:
    """As rangeOfView, of a stack whose geometry is known."""
    matrix = sliceNode.GetSliceToRAS()
    normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
    if abs(normal @ stack.normal) < np.cos(np.radians(MOST_DEGREES)) * np.linalg.norm(normal):
        text = _("This view cuts across the {plane} slices: choose a view that shows them, or type their numbers.")
        return text.format(plane=planeName(stack.plane))
    number = stack.nearest(_middle(sliceNode))
    if number is None:
        return _("This view shows a plane outside the volume: scroll it to the slice you want.")
    return number, number


def _middle(sliceNode: Any) -> np.ndarray:
    """RAS mm of the middle of what the view shows: panning moves it away from the origin of SliceToRAS."""
    size = sliceNode.GetDimensions()
    point = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2, 0.0, 1.0])
    toRas = vtk.vtkMatrix4x4()
    toRas.DeepCopy(sliceNode.GetXYToRAS())
    return np.array(toRas.MultiplyPoint(point))[:3]
