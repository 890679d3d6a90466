"""Enhanced multi-frame instances: per-frame position and rescale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from engine.dicom_files import item, multiframe_data_set, stored_values, write
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    LegacyConvertedEnhancedCTImageStorage,
)
from VolumeRetrievalEngine.errors import UnreadableFileError
from VolumeRetrievalEngine.reading import read_volume

SLOPES, INTERCEPTS = [1.0, 0.5, 2.0, 1.0, 4.25], [-1000.0, 0.0, 10.0, -1024.0, 3.5]


def rescale_of_frame(k: int) -> dict:
    return {"PixelValueTransformation": item(RescaleSlope=SLOPES[k], RescaleIntercept=INTERCEPTS[k], RescaleType="US")}


def expected_values(stored: np.ndarray) -> np.ndarray:
    return stored * np.array(SLOPES)[:, None, None] + np.array(INTERCEPTS)[:, None, None]


@pytest.mark.parametrize(
    "sop_class",
    [
        EnhancedCTImageStorage,
        EnhancedMRImageStorage,
        EnhancedPETImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_frame_has_its_own_rescale_and_place(tmp_path: Path, sop_class: str, syntax: str):
    stored = stored_values()
    made = multiframe_data_set(stored, sop_class=sop_class, per_frame=rescale_of_frame, gap=3.0)
    volume = read_volume(write(tmp_path / "enhanced", made, syntax))
    np.testing.assert_allclose(volume.voxels, expected_values(stored), rtol=1e-6)
    np.testing.assert_allclose(volume.slices.position, [0, 3, 6, 9, 12])
    np.testing.assert_allclose(volume.slices.origin[2], [20, 30, 6])
    np.testing.assert_allclose(volume.spacing, [0.5, 0.75, 3.0])
    assert volume.slices.frame.tolist() == [0, 1, 2, 3, 4]
    assert set(volume.slices.sop_uid) == {str(made.SOPInstanceUID)}
    assert volume.files.paths == ("enhanced",)


def test_a_shared_rescale_applies_to_all_frames(tmp_path: Path):
    stored = stored_values()
    shared = {"PixelValueTransformation": item(RescaleSlope=2.0, RescaleIntercept=-1024.0, RescaleType="HU")}
    volume = read_volume(write(tmp_path / "e.dcm", multiframe_data_set(stored, shared=shared)))
    np.testing.assert_array_equal(volume.voxels, stored * 2.0 - 1024)


def test_frames_in_any_order_are_put_in_the_order_of_their_positions(tmp_path: Path):
    stored = stored_values()
    depth = [6.0, 0.0, 12.0, 3.0, 9.0]
    positions = [(-20.0, -30.0, z) for z in depth]
    made = multiframe_data_set(stored, positions=positions, per_frame=rescale_of_frame)
    volume = read_volume(write(tmp_path / "e.dcm", made))
    order = np.argsort(depth)
    assert volume.slices.frame.tolist() == order.tolist()
    np.testing.assert_allclose(volume.voxels, expected_values(stored)[order], rtol=1e-6)


def test_a_volume_over_several_multi_frame_instances_is_one(tmp_path: Path):
    stored = stored_values((6, 12, 10))
    for part in range(2):
        made = multiframe_data_set(
            stored[part::2], positions=[(0, 0, 2.0 * (2 * k + part)) for k in range(3)], instance=part + 1
        )
        write(tmp_path / f"part{part}.dcm", made)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, stored)
    assert volume.slices.frame.tolist() == [0, 0, 1, 1, 2, 2]
    assert volume.files.paths == ("part0.dcm", "part1.dcm")


def test_compressed_frames_that_pydicom_cannot_decode_are_still_rescaled_one_by_one(tmp_path: Path):
    stored = stored_values(signed=False)
    frames = [_jpeg_lossless(tmp_path, pixels) for pixels in stored]
    made = multiframe_data_set(stored, per_frame=rescale_of_frame)
    path = write(tmp_path / "e.dcm", made)
    made.PixelData = encapsulate(frames)
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    made.save_as(path)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.voxels, expected_values(stored), rtol=1e-6)


def _jpeg_lossless(folder: Path, pixels: np.ndarray) -> bytes:
    """The pixels as one JPEG Lossless stream, made by GDCM."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(folder / "frame.tmp.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(pixels[None]))
    written = pydicom.dcmread(folder / "frame.tmp.dcm")
    assert written.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    (folder / "frame.tmp.dcm").unlink()
    return next(generate_frames(written.PixelData, number_of_frames=1))


def test_frames_without_position_are_a_failure_that_says_what_is_missing(tmp_path: Path):
    made = multiframe_data_set(stored_values())
    for frame in made.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    with pytest.raises(UnreadableFileError, match="missing geometry: ImagePositionPatient"):
        read_volume(write(tmp_path / "e.dcm", made))


def test_a_truncated_multi_frame_file_is_a_failure(tmp_path: Path):
    path = write(tmp_path / "e.dcm", multiframe_data_set(stored_values()))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UnreadableFileError, match="truncated: 500 bytes of pixel data are missing"):
        read_volume(path)


def test_values_and_places_agree_with_highdicom(tmp_path: Path):
    highdicom = pytest.importorskip("highdicom")
    stored = stored_values()
    made = multiframe_data_set(stored, per_frame=rescale_of_frame, FrameOfReferenceUID="1.2.3")
    path = write(tmp_path / "e.dcm", made)
    image = highdicom.imread(path)
    volume = read_volume(path)
    for k in range(5):
        frame = image.get_frame(k + 1, apply_modality_transform=True)
        np.testing.assert_allclose(volume.voxels[k], frame, rtol=1e-6)
    geometry = image.get_volume_geometry()
    # highdicom's axes are (k, j, i) in LPS, and may run the other way along k.
    corner = geometry.map_indices_to_reference(np.array([[0, 0, 0], [4, 0, 0]]))
    ours = (volume.affine @ np.array([[0, 0, 0, 1], [0, 0, 4, 1]]).T)[:3].T * [-1, -1, 1]
    np.testing.assert_allclose(sorted(corner.tolist()), sorted(ours.tolist()), atol=1e-6)
