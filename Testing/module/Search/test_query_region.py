"""Regions of the scene, as the engine sees them: which slices of the query each of them selects."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from phantom_database import nodeOf
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.query.selection import select_rows
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalEngine.worker.requests import region_from
from VolumeRetrievalLib.Scene.VolumeStack import stackOfVolume
from VolumeRetrievalLib.Scene.WorldTransform import ijkToWorld
from VolumeRetrievalLib.Search import QueryRegion, QueryVolume
from VolumeRetrievalLib.Values import SceneRegion


def aVolumeNode(flipped=False):
    """30 slices of 3 mm from z = 0, 40 x 40 pixels of 2 mm; `flipped`: k runs toward the feet."""
    affine = np.diag([2.0, 2.0, -3.0 if flipped else 3.0, 1.0])
    affine[2, 3] = 87.0 if flipped else 0.0
    return nodeOf(Volume.from_array(np.random.default_rng(0).normal(size=(30, 40, 40)), affine))


@pytest.fixture
def selected(tmp_path):
    """The slices that a region selects of a volume node: numbers of the full stack, ascending toward the head."""

    def select(region, node):
        volume = Volume.from_array(slicer.util.arrayFromVolume(node), ijkToWorld(node))
        stack = preprocess(volume, Recipe(encoder="x", plane="axial", slice_step_mm=0.0, crop=False))
        message = QueryRegion.message(region, stackOfVolume(node), tmp_path)
        rows = select_rows(region_from(message), stack.geometry, stack.table)
        return stack.table.index[rows].tolist()

    return select


def aROI(center, size, degrees=0.0):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetSize(*size)
    transform = vtk.vtkTransform()
    transform.Translate(*center)
    transform.RotateX(degrees)
    roi.SetAndObserveObjectToNodeMatrix(transform.GetMatrix())
    return roi


def moved(node, *translation):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate(translation):
        matrix.SetElement(row, 3, value)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())


def aSegmentation(node, first, last):
    """A segmentation with a segment over these slices of a volume, and another one over all."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name, slices in (("part", slice(first, last + 1)), ("all", slice(None))):
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(node.GetImageData().GetDimensions())
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        array = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        array[:] = 0
        array.reshape(node.GetImageData().GetDimensions()[::-1])[slices, 10:30, 10:30] = 1
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        image.SetImageToWorldMatrix(matrix)
        segmentation.AddSegmentFromBinaryLabelmapRepresentation(image, name)
    return segmentation


@pytest.fixture
def message(tmp_path):
    """What is sent of a region of this volume."""
    return lambda region, node=None: QueryRegion.message(region, stackOfVolume(node or aVolumeNode()), tmp_path)


def test_the_whole_volume_is_no_region(message):
    assert message(None) is None
    assert message(SceneRegion()) is None


@pytest.mark.parametrize("flipped", [False, True])
def test_slices_are_counted_toward_the_head_whichever_way_slicer_has_turned_the_volume(selected, message, flipped):
    region = SceneRegion("slices", firstSlice=4, lastSlice=7)
    assert selected(region, aVolumeNode(flipped)) == [4, 5, 6, 7]
    assert message(region, aVolumeNode(flipped)) == {"slices": [4, 7], "plane": "axial"}


def test_slices_under_a_transform_go_with_the_volume(selected):
    node = aVolumeNode()
    moved(node, 10, 20, 500)
    assert selected(SceneRegion("slices", firstSlice=4, lastSlice=7), node) == [4, 5, 6, 7]


def test_slices_of_a_series_of_unknown_stack_are_numbers(tmp_path):
    assert QueryRegion.message(SceneRegion("slices", firstSlice=4, lastSlice=7), None, tmp_path) == {
        "slices": [4, 7],
        "plane": "",
    }


def test_slices_that_are_not_there_are_an_error_that_counts_from_one_and_names_the_plane(message):
    with pytest.raises(ValueError, match=r"No axial slices 41 to 51: the volume has 30, from 1 \(inferior\) to 30"):
        message(SceneRegion("slices", firstSlice=40, lastSlice=50))
    with pytest.raises(ValueError, match="Slices 9 to 8"):
        message(SceneRegion("slices", firstSlice=8, lastSlice=7))


def test_a_kind_of_region_that_does_not_exist_is_an_error_that_names_those_that_do(message):
    with pytest.raises(ValueError, match=r"currentSlice.*roi, segment, slices"):
        message(SceneRegion("currentSlice"))


def test_the_only_segment_of_a_segmentation_need_not_be_named(message):
    segmentation = aSegmentation(aVolumeNode(), 12, 15)
    segmentation.GetSegmentation().RemoveSegment(segmentation.GetSegmentation().GetNthSegmentID(1))
    assert message(SceneRegion("segment", segmentation=segmentation))["mask"]["name"] == "part"
    assert message(SceneRegion("segment", segmentation=segmentation, segmentID="part"))["mask"]["name"] == "part"


def test_what_is_no_region_is_an_error(message):
    with pytest.raises(ValueError, match="'liver' is not a region"):
        message("liver")


def test_no_box_and_no_slices_travel_as_voxels(message, tmp_path):
    message(SceneRegion("slices", firstSlice=4, lastSlice=7))
    message(SceneRegion("roi", roi=aROI((40, 40, 45), (10, 60, 6), 45)))
    assert list(tmp_path.iterdir()) == []


def test_a_box_is_sent_as_numbers(selected, message):
    node, roi = aVolumeNode(), aROI((40, 40, 30), (20, 20, 12.4))
    box = message(SceneRegion("roi", roi=roi))["box"]
    assert json.loads(json.dumps(box)) == {
        "center": [40, 40, 30],
        "axes": np.eye(3).tolist(),
        "size": [20, 20, pytest.approx(12.4)],
    }
    assert selected(SceneRegion("roi", roi=roi), node) == [8, 9, 10, 11, 12]


def test_a_box_that_was_moved_by_a_transform_counts_where_it_is_shown(selected):
    roi = aROI((40, 40, 30), (20, 20, 12.4))
    moved(roi, 0, 0, 30)
    assert selected(SceneRegion("roi", roi=roi), aVolumeNode()) == [18, 19, 20, 21, 22]


def test_an_oblique_box_selects_what_it_passes_through(selected):
    # 60 mm long and 6 mm thick, turned by 45 degrees: 60 sin 45 + 6 cos 45 = 46.7 mm high.
    node, roi = aVolumeNode(), aROI((40, 40, 45), (10, 60, 6), 45)
    found = selected(SceneRegion("roi", roi=roi), node)
    assert (found[0], found[-1]) == (8, 22)
    assert len(found) == 15


def test_a_box_under_a_transform_that_shears_is_the_box_around_it(message):
    roi = aROI((0, 0, 0), (20, 20, 20))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 2] = 0.5
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    roi.SetAndObserveTransformNodeID(transform.GetID())
    axes = np.array(message(SceneRegion("roi", roi=roi))["box"]["axes"])
    assert axes @ axes.T == pytest.approx(np.eye(3))


def test_a_box_without_size_is_an_error(message):
    with pytest.raises(ValueError, match="no size"):
        message(SceneRegion("roi", roi=aROI((0, 0, 0), (0, 0, 0))))


def test_a_segment_selects_its_slices_and_not_those_of_other_segments(selected):
    node = aVolumeNode()
    segmentation = aSegmentation(node, 12, 15)
    identifier = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    assert selected(SceneRegion("segment", segmentation=segmentation, segmentID=identifier), node) == [12, 13, 14, 15]


def test_a_segmentation_under_a_transform_counts_where_it_is_shown(selected):
    node = aVolumeNode()
    segmentation = aSegmentation(node, 12, 15)
    moved(segmentation, 0, 0, 9)
    identifier = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    assert selected(SceneRegion("segment", segmentation=segmentation, segmentID=identifier), node) == [15, 16, 17, 18]


def test_a_segment_that_is_not_there_or_empty_is_an_error(message):
    segmentation = aSegmentation(aVolumeNode(), 5, 4)
    empty = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    for identifier, text in (("no such", r"no segment 'no such'.*part, all"), ("", "part, all"), (empty, "empty")):
        with pytest.raises(ValueError, match=text):
            message(SceneRegion("segment", segmentation=segmentation, segmentID=identifier))


def test_voxels_are_written_as_they_are_where_they_are_shown(tmp_path):
    node = aVolumeNode()
    moved(node, 1, 2, 3)
    message = QueryVolume.write(node, tmp_path)
    assert np.array_equal(np.load(message["file"]), slicer.util.arrayFromVolume(node))
    assert np.array(message["affine"])[:3, 3].tolist() == [1, 2, 3]


def test_a_volume_of_vectors_is_refused(tmp_path):
    vectors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode")
    slicer.util.updateVolumeFromArray(vectors, np.zeros((4, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="no scalar volume"):
        QueryVolume.write(vectors, tmp_path)
