"""Regions of the scene, as the engine sees them: which slices of the query each of them selects."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from phantom_database import nodeOf
from VolumeRetrievalEngine.preprocessing import preprocess
from VolumeRetrievalEngine.query.region import select_rows
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalEngine.worker.requests import region_from
from VolumeRetrievalLib.Scene.WorldTransform import ijkToWorld
from VolumeRetrievalLib.Search import QueryRegion, QueryVolume
from VolumeRetrievalLib.Values import Region


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
        message = QueryRegion.message(region, node, tmp_path)
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


def test_the_whole_volume_is_no_region(tmp_path):
    assert QueryRegion.message(None, aVolumeNode(), tmp_path) is None
    assert QueryRegion.message(Region(), aVolumeNode(), tmp_path) is None


def test_slices_are_those_of_the_scene(selected):
    assert selected(Region("slices", firstSlice=4, lastSlice=7), aVolumeNode()) == [4, 5, 6, 7]


def test_slices_of_a_volume_that_slicer_has_turned_around_are_turned_around(selected):
    assert selected(Region("slices", firstSlice=4, lastSlice=7), aVolumeNode(flipped=True)) == [22, 23, 24, 25]


def test_slices_under_a_transform_go_with_the_volume(selected):
    node = aVolumeNode()
    moved(node, 10, 20, 500)
    assert selected(Region("slices", firstSlice=4, lastSlice=7), node) == [4, 5, 6, 7]


def test_slices_of_a_series_are_numbers_of_its_stack(tmp_path):
    assert QueryRegion.message(Region("slices", firstSlice=4, lastSlice=7), None, tmp_path) == {"slices": [4, 7]}


def test_slices_that_are_not_there_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="30"):
        QueryRegion.message(Region("slices", firstSlice=40, lastSlice=50), aVolumeNode(), tmp_path)


def test_slices_with_an_acquisition_transform_are_counted_as_the_engine_counts_them(tmp_path):
    node = aVolumeNode(flipped=True)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "CT acquisition transform")
    node.SetAndObserveTransformNodeID(transform.GetID())
    assert QueryRegion.message(Region("slices", firstSlice=4, lastSlice=7), node, tmp_path) == {"slices": [22, 25]}


def test_a_box_along_the_axes_is_sent_as_a_box(selected, tmp_path):
    node, roi = aVolumeNode(), aROI((40, 40, 30), (20, 20, 12.4))
    assert list(QueryRegion.message(Region("roi", roi=roi), node, tmp_path)) == ["box"]
    assert selected(Region("roi", roi=roi), node) == [8, 9, 10, 11, 12]


def test_a_box_that_was_moved_by_a_transform_counts_where_it_is_shown(selected):
    roi = aROI((40, 40, 30), (20, 20, 12.4))
    moved(roi, 0, 0, 30)
    assert selected(Region("roi", roi=roi), aVolumeNode()) == [18, 19, 20, 21, 22]


def test_an_oblique_box_selects_what_it_passes_through(selected, tmp_path):
    # 60 mm long and 6 mm thick, turned by 45 degrees: 60 sin 45 + 6 cos 45 = 46.7 mm high.
    node, roi = aVolumeNode(), aROI((40, 40, 45), (10, 60, 6), 45)
    assert list(QueryRegion.message(Region("roi", roi=roi), node, tmp_path)) == ["mask"]
    found = selected(Region("roi", roi=roi), node)
    assert (found[0], found[-1]) == (8, 22)
    assert len(found) == 15


def test_a_box_without_size_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no size"):
        QueryRegion.message(Region("roi", roi=aROI((0, 0, 0), (0, 0, 0))), aVolumeNode(), tmp_path)


def test_a_segment_selects_its_slices_and_not_those_of_other_segments(selected):
    node = aVolumeNode()
    segmentation = aSegmentation(node, 12, 15)
    identifier = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    assert selected(Region("segment", segmentation=segmentation, segmentID=identifier), node) == [12, 13, 14, 15]


def test_a_segmentation_under_a_transform_counts_where_it_is_shown(selected):
    node = aVolumeNode()
    segmentation = aSegmentation(node, 12, 15)
    moved(segmentation, 0, 0, 9)
    identifier = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    assert selected(Region("segment", segmentation=segmentation, segmentID=identifier), node) == [15, 16, 17, 18]


def test_a_segment_that_is_not_there_or_empty_is_an_error(tmp_path):
    segmentation = aSegmentation(aVolumeNode(), 5, 4)
    empty = segmentation.GetSegmentation().GetSegmentIdBySegmentName("part")
    for identifier, text in (("no such", "no segment"), (empty, "empty")):
        with pytest.raises(ValueError, match=text):
            QueryRegion.message(
                Region("segment", segmentation=segmentation, segmentID=identifier), aVolumeNode(), tmp_path
            )


def test_the_current_slice_is_the_one_that_the_view_shows(selected):
    node = aVolumeNode()
    sliceNode = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    sliceNode.SetOrientation("Axial")
    sliceNode.JumpSliceByCentering(40, 40, 31.0)
    assert selected(Region("currentSlice", sliceView="Red"), node) == [10]


def test_a_slice_view_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="Purple"):
        QueryRegion.message(Region("currentSlice", sliceView="Purple"), aVolumeNode(), tmp_path)


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
