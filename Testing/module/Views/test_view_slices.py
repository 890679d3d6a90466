"""Which slice of a volume a slice view shows."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from VolumeRetrievalLib.Views.ViewSlices import rangeOfView


@pytest.fixture
def volume():
    """30 axial slices of 3 mm, the lowest at z = 100, around x = y = 30."""
    matrix = np.diag([-4.0, -4.0, 3.0, 1.0])
    matrix[:3, 3] = (60, 60, 100)
    return slicer.util.addVolumeFromArray(np.zeros((30, 16, 16), np.float32), ijkToRAS=matrix)


@pytest.fixture
def view():
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    node.SetOrientation("Axial")
    node.SetXYZOrigin(0, 0, 0)
    return node


def turn(view, degrees, center):
    """Turn the view about the x axis, and let it show this point."""
    transform = vtk.vtkTransform()
    transform.Translate(*center)
    transform.RotateX(degrees)
    view.GetSliceToRAS().DeepCopy(transform.GetMatrix())
    view.UpdateMatrices()


def test_the_slice_nearest_to_the_views_middle_counts(volume, view):
    view.JumpSliceByCentering(30, 30, 131.0)
    assert rangeOfView(volume, view) == (10, 10)
    view.JumpSliceByCentering(30, 30, 188.0)
    assert rangeOfView(volume, view) == (29, 29)


def test_a_view_that_is_turned_a_little_shows_the_slice_in_its_middle(volume, view):
    turn(view, 18, (30, 30, 131))
    assert rangeOfView(volume, view) == (10, 10)
    turn(view, 180 - 18, (30, 30, 131))  # seen from the other side
    assert rangeOfView(volume, view) == (10, 10)
    # Panned along the turned plane, its middle is elsewhere in the stack.
    turn(view, 18, (30, 30, 131))
    view.SetXYZOrigin(0, 30, 0)
    assert rangeOfView(volume, view) == (13, 13)


@pytest.mark.parametrize("orientation", ["Coronal", "Sagittal"])
def test_a_view_across_the_slices_says_so(volume, view, orientation):
    view.SetOrientation(orientation)
    view.JumpSliceByCentering(30, 30, 131.0)
    assert rangeOfView(volume, view).startswith("This view cuts across the axial slices")
    plane = orientation.lower()
    assert isinstance(rangeOfView(volume, view, plane), tuple)  # of this plane's slices it shows one


def test_a_view_outside_the_volume_says_so(volume, view):
    view.JumpSliceByCentering(30, 30, 50.0)
    assert "outside the volume" in rangeOfView(volume, view)
