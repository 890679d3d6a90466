"""The chosen slices of the query are drawn in the user's own slice views, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic
from VolumeRetrievalLib.Values import ROI, SLICES, SceneRegion
from VolumeRetrievalLib.Views import CompareLayout

REGION = SceneRegion(SLICES, firstSlice=4, lastSlice=8)


@pytest.fixture(scope="module")
def logic():
    logic = RetrievalLogic()
    yield logic
    logic.cleanUp()


@pytest.fixture(autouse=True)
def hidden(logic):
    yield
    logic.hideRegionPreview()


def aVolume(shape=(30, 16, 16), spacing=(4.0, 4.0, 3.0), origin=100.0):
    matrix = np.diag([*spacing, 1.0])
    matrix[2, 3] = origin
    return slicer.util.addVolumeFromArray(np.zeros(shape, np.float32), ijkToRAS=matrix, name="query")


def aTransform(*translation):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = translation
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return transform


def aSliceView(name):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
    node.UnRegister(None)
    node.SetLayoutName(name)  # before it is added: a view is made of it then
    node.SetName(name)
    return slicer.mrmlScene.AddNode(node)


def previews():
    return slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")


def box(node):
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return bounds


def test_a_range_of_slices_is_drawn_where_they_lie(logic):
    volume = aVolume()
    logic.showRegionPreview(volume, REGION)
    (node,) = previews()
    assert box(node)[4:] == pytest.approx([100 + 4 * 3 - 1.5, 100 + 8 * 3 + 1.5])
    logic.showRegionPreview(volume, SceneRegion(SLICES, firstSlice=20, lastSlice=999))
    assert box(node)[5] == pytest.approx(100 + 29 * 3 + 1.5)
    assert len(previews()) == 1


def test_slices_are_counted_in_the_plane_that_the_engine_chooses(logic):
    thickAcross = aVolume(shape=(40, 12, 40), spacing=(1.0, 6.0, 1.0))
    logic.showRegionPreview(thickAcross, SceneRegion(SLICES, firstSlice=0, lastSlice=0))
    (node,) = previews()
    assert box(node)[2:4] == pytest.approx([-3, 3])
    stack = logic.stackOf(thickAcross)
    assert (stack.plane, stack.count, stack.firstEnd, stack.lastEnd) == ("coronal", 12, "posterior", "anterior")


def test_the_drawn_region_is_no_node_of_the_users(logic):
    logic.showRegionPreview(aVolume(), REGION)
    (node,) = previews()
    assert node.GetHideFromEditors() and not node.GetSaveWithScene() and node.GetLocked()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.GetItemByDataNode(node) == 0


def test_it_is_drawn_in_slice_views_only_those_made_later_included(logic):
    manager = slicer.app.layoutManager()
    red = manager.sliceWidget("Red").mrmlSliceNode()
    threeD = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLViewNode")
    logic.showRegionPreview(aVolume(), REGION)
    display = previews()[0].GetDisplayNode()
    assert display.IsDisplayableInView(red.GetID())
    assert not display.IsDisplayableInView(threeD.GetID()) and not display.GetVisibility3D()
    own, column = aSliceView("MyView"), aSliceView("MyColumn")
    column.SetViewGroup(CompareLayout.FIRST_VIEW_GROUP + 1)  # another patient, whose coordinates are the same by chance
    slicer.app.processEvents()
    assert display.IsDisplayableInView(own.GetID())
    assert not display.IsDisplayableInView(column.GetID())


def test_it_follows_the_volume_and_goes_with_it(logic):
    volume = aVolume()
    logic.showRegionPreview(volume, REGION)
    transform = aTransform(0, 0, 50)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert box(previews()[0])[4:] == pytest.approx([160.5, 175.5])
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.eye(4)))
    assert box(previews()[0])[4:] == pytest.approx([110.5, 125.5])
    volume.SetOrigin(0, 0, 0)
    assert box(previews()[0])[4:] == pytest.approx([10.5, 25.5])
    slicer.mrmlScene.RemoveNode(volume)
    assert previews() == []


def test_it_goes_when_the_scene_is_closed_and_does_not_come_back(logic):
    logic.showRegionPreview(aVolume(), REGION)
    slicer.mrmlScene.Clear(0)
    aSliceView("MyView")
    slicer.app.processEvents()
    assert previews() == []


def test_nothing_is_drawn_of_what_cannot_be_drawn(logic):
    volume = aVolume()
    for query, region in (
        (volume, SceneRegion()),
        (volume, SceneRegion(ROI)),
        (volume, SceneRegion(SLICES, firstSlice=99, lastSlice=120)),
        (volume, SceneRegion(SLICES, firstSlice=8, lastSlice=4)),
        (None, REGION),
        ("1.2.3", REGION),
        (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"), REGION),  # without voxels
    ):
        logic.showRegionPreview(volume, REGION)
        assert len(previews()) == 1
        logic.showRegionPreview(query, region)
        assert previews() == [], (query, region)
