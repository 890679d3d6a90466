"""Find similar volumes, in the context menu of the Data module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_application import subject_hierarchy
from slicer_application.modules import loadModule
from slicer_application.pythonqt import unwrap

MODULE_FILE = Path(__file__).parents[3] / "VolumeRetrieval" / "VolumeRetrieval.py"


class Widget:
    """The module's widget, as far as the plugin knows it."""

    def __init__(self):
        self.searched = []

    def self(self):
        return self

    def findSimilar(self, volume):
        self.searched.append(volume)


@pytest.fixture
def widget():
    """The module's widget, with the module loaded and Slicer started."""
    loadModule(MODULE_FILE)
    slicer.app._qt.startupCompleted.emit()
    made = Widget()
    unwrap(slicer.modules.volumeretrieval).setWidget(made)
    return made


def itemOf(node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy.GetItemByDataNode(node)


def aNode(className):
    node = slicer.mrmlScene.AddNewNodeByClass(className)
    if node.IsA("vtkMRMLVolumeNode"):
        slicer.util.updateVolumeFromArray(node, np.zeros((3, 3, 3), np.uint8))
    return node


def offered(node):
    return [one.text for one in subject_hierarchy.contextMenu(itemOf(node))]


def test_it_is_offered_for_a_scalar_volume_and_nothing_else(widget):
    assert offered(aNode("vtkMRMLScalarVolumeNode")) == ["Find similar volumes"]
    for className in ("vtkMRMLLabelMapVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsROINode"):
        assert offered(aNode(className)) == []
    assert subject_hierarchy.contextMenu(0) == []


def test_it_goes_to_the_module_and_searches_with_that_volume(widget):
    aNode("vtkMRMLScalarVolumeNode")
    volume = aNode("vtkMRMLScalarVolumeNode")
    (action,) = subject_hierarchy.contextMenu(itemOf(volume))
    action.trigger()
    handler = slicer.qSlicerSubjectHierarchyPluginHandler.instance()
    assert widget.searched == [volume]
    assert handler._qt.switched[-1] == "VolumeRetrieval"


def test_it_is_offered_once_however_often_the_module_is_loaded(widget):
    slicer.app._qt.startupCompleted.emit()
    assert len(subject_hierarchy.contextMenu(itemOf(aNode("vtkMRMLScalarVolumeNode")))) == 1
