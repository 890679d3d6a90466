"""How a view looks at a volume's own slices."""

from __future__ import annotations

import numpy as np


def along(orientation: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The view's axes turned onto the volume's own, each onto the nearest.

    vtkMRMLSliceNode::RotateToVolumePlane does it with the axes of the voxels, which with gantry tilt are not at right
    angles, and not at all under a transform that bends; the engine's axes always are the planes it searched in.

    Args:
        orientation: float [3, 3], columns are the view's directions to the right, up and toward the viewer, as of a
            slice node's SliceToRAS for one of Slicer's orientations.
        axes: float [3, 3], rows are unit vectors at right angles.

    Returns:
        float [3, 3], columns as in `orientation`, each of them one of the axes or its opposite.
    """
    fits = np.asarray(axes, dtype=float) @ np.asarray(orientation, dtype=float)  # [axis, direction of the view]
    turned = np.empty((3, 3))
    open_ = np.abs(fits)
    for _ in range(3):
        axis, direction = np.unravel_index(int(open_.argmax()), open_.shape)
        turned[:, direction] = np.sign(fits[axis, direction]) * np.asarray(axes, dtype=float)[axis]
        open_[axis, :] = open_[:, direction] = -1.0
    return turned
