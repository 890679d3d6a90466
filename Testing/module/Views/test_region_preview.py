"""The chosen slices of the query are drawn in the user's own views."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from fake_logic import FakeLogic
from panel_factory import makePanel
from VolumeRetrievalLib.Values import CURRENT_SLICE, SLICES, Region
from VolumeRetrievalLib.Views.RegionPreview import RegionPreview


def aVolume(shape=(30, 16, 16), spacing=(4.0, 4.0, 3.0), origin=100.0):
    matrix = np.diag([*spacing, 1.0])
    matrix[2, 3] = origin
    return slicer.util.addVolumeFromArray(np.zeros(shape, np.float32), ijkToRAS=matrix, name="query")


def previews():
    return slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")


def box(node):
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return bounds


def test_a_range_of_slices_is_drawn_where_they_lie():
    preview = RegionPreview()
    preview.update(aVolume(), Region(SLICES, firstSlice=4, lastSlice=8))
    (node,) = previews()
    assert box(node)[4:] == pytest.approx([100 + 4 * 3 - 1.5, 100 + 8 * 3 + 1.5])
    preview.update(aVolume(), Region(SLICES, firstSlice=20, lastSlice=999))
    assert box(node)[5] == pytest.approx(100 + 29 * 3 + 1.5)
    assert len(previews()) == 1


def test_slices_are_counted_in_the_plane_that_the_engine_chooses():
    thickAcross = aVolume(shape=(40, 12, 40), spacing=(1.0, 6.0, 1.0))
    RegionPreview().update(thickAcross, Region(SLICES, firstSlice=0, lastSlice=0))
    (node,) = previews()
    assert box(node)[2:4] == pytest.approx([-3, 3])


def test_the_current_slice_is_drawn():
    widget = slicer.app.layoutManager().sliceWidget("Red")
    widget.mrmlSliceNode().JumpSliceByOffsetting(0, 0, 130)
    RegionPreview().update(aVolume(), Region(CURRENT_SLICE, sliceView="Red"))
    assert box(previews()[0])[4:] == pytest.approx([128.5, 131.5])


def test_the_drawn_region_is_no_node_of_the_users():
    RegionPreview().update(aVolume(), Region(SLICES, firstSlice=4, lastSlice=8))
    (node,) = previews()
    assert node.GetHideFromEditors() and not node.GetSaveWithScene() and node.GetLocked()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.GetItemByDataNode(node) == 0


def test_it_goes_when_nothing_is_to_be_drawn():
    preview = RegionPreview()
    preview.update(aVolume(), Region(SLICES, firstSlice=4, lastSlice=8))
    preview.update(aVolume(), Region())
    assert previews() == []
    preview.update(None, Region(SLICES))
    preview.update(aVolume(), Region(CURRENT_SLICE, sliceView="no such view"))
    assert previews() == []


def test_it_follows_what_is_chosen_in_the_panel():
    panel, _widget = makePanel(FakeLogic())
    panel.ui.queryVolumeSelector.setCurrentNode(aVolume())
    assert previews() == []
    panel.ui.regionComboBox.setCurrentIndex(3)
    panel.ui.firstSliceSpinBox.value, panel.ui.lastSliceSpinBox.value = 5, 9
    assert box(previews()[0])[4:] == pytest.approx([110.5, 125.5])
    assert panel.ui.roiSelector.nodeCount() == 0  # it cannot be chosen as the user's own ROI
    panel.ui.querySourceComboBox.setCurrentIndex(1)
    assert previews() == []
    panel.ui.querySourceComboBox.setCurrentIndex(0)
    assert len(previews()) == 1
    panel.query.hidePreview()
    assert previews() == []
