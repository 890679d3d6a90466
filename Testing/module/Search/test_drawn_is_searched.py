"""One meaning of a region: what is drawn over a volume is what is searched, whichever way its voxels run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from phantom_database import nodeOf
from scipy.spatial.transform import Rotation
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalEngine.worker.requests import region_from
from VolumeRetrievalLib.Scene.VolumeStack import stackOfVolume
from VolumeRetrievalLib.Scene.WorldTransform import arrayOf, ijkToWorld
from VolumeRetrievalLib.Search import QueryRegion
from VolumeRetrievalLib.Values import SceneRegion
from VolumeRetrievalLib.Views.RegionPreview import RegionPreview
from VolumeRetrievalLib.Views.ViewSlices import rangeOfView

#: World axes along which i, j and k run, and their directions.
_RUNS = {
    "axial, k up": ((0, 1, 2), (-1, -1, 1)),
    "axial, k down": ((0, 1, 2), (-1, -1, -1)),
    "coronal, k to anterior": ((0, 2, 1), (-1, -1, 1)),
    "coronal, k to posterior": ((0, 2, 1), (-1, -1, -1)),
    "sagittal, k to the right": ((1, 2, 0), (-1, -1, 1)),
    "sagittal, k to the left": ((1, 2, 0), (-1, -1, -1)),
    "mirrored in plane": ((0, 1, 2), (1, 1, 1)),
}
_SPACINGS = {"thick slices": (2.0, 2.0, 5.0), "isotropic": (2.0, 2.0, 2.0), "thick along i": (6.0, 2.0, 2.0)}
_SHAPE = (14, 18, 16)  # [k, j, i]


def _affine(run: str, spacing: str, turned: tuple[float, ...] = (0, 0, 0), shear: float = 0.0) -> np.ndarray:
    order, signs = _RUNS[run]
    directions = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        directions[world, axis] = sign
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turned, degrees=True).as_matrix() @ directions * _SPACINGS[spacing]
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (-31.0, 17.0, 240.0)
    return affine


CASES = {f"{run}, {spacing}": _affine(run, spacing) for run in _RUNS for spacing in _SPACINGS}
CASES |= {
    f"oblique {run}, {spacing}": _affine(run, spacing, (17, -12, 21))
    for run in ("axial, k down", "coronal, k to posterior", "sagittal, k to the right")
    for spacing in ("thick slices", "isotropic")
}
CASES["gantry tilt"] = _affine("axial, k down", "thick slices", shear=0.6)


@dataclass
class Query:
    """A volume in the scene, and the stack that the engine makes of its voxels."""

    node: Any
    stack: Any  # engine Stack
    folder: Any

    def searched(self, region: SceneRegion) -> list[int]:
        """Numbers of the slices that the search worker selects."""
        message = QueryRegion.message(region, stackOfVolume(self.node), self.folder)
        return self.stack.table.index[select_rows(region_from(message), self.stack.geometry, self.stack.table)].tolist()

    def within(self, node: Any) -> list[int]:
        """Numbers of the slices that pass through a markups ROI as it is drawn: some of their points lie in it."""
        size = np.zeros(3)
        node.GetSizeWorld(size)
        toBox = np.linalg.inv(arrayOf(node.GetObjectToWorldMatrix()))
        count, rows, columns = self.stack.geometry.shape
        row, column = (axis.ravel() for axis in np.mgrid[-0.5 : rows - 0.5 : 0.25, -0.5 : columns - 0.5 : 0.25])
        found = []
        for number in range(count):
            pixels = np.stack([column, row, np.full(row.shape, float(number)), np.ones(row.shape)])
            points = (toBox @ self.stack.geometry.affine @ pixels)[:3]
            if (np.abs(points) <= size[:, None] / 2).all(axis=0).any():
                found.append(number)
        return found


@pytest.fixture(params=CASES)
def query(request, tmp_path):
    voxels = np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
    node = nodeOf(Volume.from_array(voxels, CASES[request.param]))
    # Moved in the scene, too: where the volume is shown counts.
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (8, -5, 60)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    # As the search worker reads it (QueryVolume.write).
    volume = Volume.from_array(slicer.util.arrayFromVolume(node), ijkToWorld(node))
    stack = preprocess(volume, Recipe(encoder="x", plane="auto", slice_step_mm=0.0, crop=False))
    return Query(node, stack, tmp_path)


def drawn(query: Query, region: SceneRegion) -> Any:
    preview = RegionPreview()
    preview.show(query.node, lambda: QueryRegion.boxOf(region, stackOfVolume(query.node)))
    return preview.node


def aSegment(query: Query, slices: range) -> SceneRegion:
    """A segment over some slices of the volume's own k axis, in the middle of them."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(query.node.GetImageData().GetDimensions())
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    array = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    array[:] = 0
    array.reshape(_SHAPE)[slices.start : slices.stop, 6:9, 5:9] = 1
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToWorld(query.node)))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.AddSegmentFromBinaryLabelmapRepresentation(image, "part")
    return SceneRegion(
        "segment", segmentation=segmentation, segmentID=segmentation.GetSegmentation().GetNthSegmentID(0)
    )


def marked(query: Query, slices: range) -> list[int]:
    """Numbers of the stack's slices that show the voxels of aSegment."""
    mask = np.zeros(_SHAPE, np.float32)
    mask[slices.start : slices.stop, 6:9, 5:9] = 1
    volume = Volume.from_array(mask, ijkToWorld(query.node))
    stack = preprocess(volume, Recipe(encoder="x", plane=query.stack.plane, slice_step_mm=0.0, crop=False))
    return np.flatnonzero(stack._voxels.any(axis=(1, 2))).tolist()


def test_what_is_drawn_is_what_is_searched(query):
    count = query.stack.n_slices
    assert stackOfVolume(query.node).count == count
    assert stackOfVolume(query.node).plane == query.stack.plane

    # Slices: the numbers are the engine's, wherever k runs, and the drawn box holds just these.
    for first, last in ((3, 6), (0, 0), (count - 2, count + 50)):
        region = SceneRegion("slices", firstSlice=first, lastSlice=last)
        expected = list(range(first, min(last, count - 1) + 1))
        assert query.searched(region) == expected
        assert query.within(drawn(query, region)) == expected

    # An ROI, along the world's axes and turned.
    center = (query.stack.geometry.affine @ [7.3, 6.1, 5.2, 1])[:3]
    for degrees in (0, 35):
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        roi.SetSize(9.7, 11.3, 13.1)
        transform = vtk.vtkTransform()
        transform.Translate(*center)
        transform.RotateWXYZ(degrees, 1, 2, 3)
        roi.SetAndObserveObjectToNodeMatrix(transform.GetMatrix())
        searched, seen = query.searched(SceneRegion("roi", roi=roi)), query.within(roi)
        assert set(seen) <= set(searched)
        assert len(searched) - len(seen) <= 2  # a corner between the sampled points

    # A segment.
    assert query.searched(aSegment(query, range(4, 7))) == marked(query, range(4, 7))

    # The slice that a view shows.
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    stack = stackOfVolume(query.node)
    toRas = view.GetSliceToRAS()
    for axis in range(3):
        for row in range(3):
            toRas.SetElement(row, axis, stack.axes[axis][row])
    for row, value in enumerate(stack.slab(4, 4).center):
        toRas.SetElement(row, 3, value)
    view.UpdateMatrices()
    assert rangeOfView(query.node, view) == (4, 4)
    region = SceneRegion("slices", firstSlice=4, lastSlice=4)
    assert query.searched(region) == query.within(drawn(query, region)) == [4]
