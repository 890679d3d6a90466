"""Values are what the standard says, in every transfer syntax that can be decoded, or are refused with the cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from engine.dicom_files import item, multiframe_data_set, slice_data_set, stored_values, write, write_series
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from VolumeRetrievalEngine.errors import NotAVolumeError, UnreadableFileError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, discover, read_volume
from VolumeRetrievalEngine.reading.dicom import stored_values as decoding
from VolumeRetrievalEngine.reading.dicom.measured_values import measured_values
from VolumeRetrievalEngine.reading.dicom.stored_values import UndecodableError, stored_frames
from VolumeRetrievalEngine.reading.quiet import quiet

# 32 x 40, because GDCM, which compresses some of them, writes beyond its memory for smaller JPEG 2000 images.
UNSIGNED, SIGNED = stored_values((32, 40), signed=False), stored_values((32, 40))


def measured(path: Path) -> np.ndarray:
    """float64 [j, i] of a single-frame file; raises what its frame cannot be decoded for."""
    with quiet():
        data_set = pydicom.dcmread(path, force=True)
        (frame,) = stored_frames(data_set, [0])
    if isinstance(frame, Exception):
        raise frame
    return measured_values(data_set)(frame, 0)


def as_file(folder: Path, pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Path:
    return write(folder / "slice.dcm", slice_data_set(pixels, **attributes), syntax)


def compressed(path: Path, syntax: str) -> Path:
    """The same file with its pixel data compressed without loss."""
    made = pydicom.dcmread(path)
    if syntax in (RLELossless, JPEGLSLossless):
        made.compress(syntax, generate_instance_uid=False)
    else:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path.with_name("compressed.dcm")))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG" if syntax == JPEGLosslessSV1 else "JPEG2000")
        dtype = np.int16 if made.PixelRepresentation else np.uint16
        pixels = np.frombuffer(made.PixelData, dtype).reshape(1, made.Rows, made.Columns)
        writer.Execute(sitk.GetImageFromArray(pixels))
        written = pydicom.dcmread(path.with_name("compressed.dcm"))
        assert written.file_meta.TransferSyntaxUID == syntax
        made.PixelData = encapsulate(list(generate_frames(written.PixelData, number_of_frames=1)))
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        made.file_meta.TransferSyntaxUID = syntax
    made.save_as(path)
    return path


class NoDecoder:
    """What pydicom has where nothing is installed that decodes."""

    is_available = False


@pytest.mark.parametrize("decoders", ["pydicom", "GDCM"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("pixels", [UNSIGNED, SIGNED], ids=["unsigned", "signed"])
def test_no_decoder_inverts_shifts_or_rescales(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: str, syntax: str, photometric: str, pixels: np.ndarray
):
    if syntax == JPEGLSLossless:
        pytest.importorskip("jpeg_ls", reason="makes the input")
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -24, "PhotometricInterpretation": photometric}
    path = compressed(as_file(tmp_path, pixels, **rescale), syntax)
    if decoders == "GDCM" and syntax != RLELossless:
        monkeypatch.setattr(decoding, "get_decoder", lambda _: NoDecoder())
    np.testing.assert_array_equal(measured(path), pixels * 2.0 - 24)


def test_jpeg_of_twelve_bits_is_decoded(tmp_path: Path):
    """Pillow, which pydicom has for JPEG, knows 8 bits only."""
    name = get_testdata_file("JPEG-lossy.dcm", download=False)
    if name is None:
        pytest.skip("this pydicom comes without JPEG-lossy.dcm")
    made = pydicom.dcmread(name)
    assert (made.BitsStored, made.file_meta.TransferSyntaxUID) == (12, "1.2.840.10008.1.2.4.51")
    expected = sitk.GetArrayFromImage(sitk.ReadImage(name))[0]
    made.PhotometricInterpretation, made.RescaleSlope, made.RescaleIntercept = "MONOCHROME1", 3, -7
    made.save_as(tmp_path / "twelve.dcm")
    np.testing.assert_array_equal(measured(tmp_path / "twelve.dcm"), expected * 3.0 - 7)


CELLS: dict[str, tuple[dict[str, Any], np.ndarray, np.ndarray]] = {
    "high bit above the stored bits": ({"BitsStored": 12, "HighBit": 15}, UNSIGNED << 4, UNSIGNED),
    "signed, high bit above the stored bits": (
        {"BitsStored": 12, "HighBit": 15, "PixelRepresentation": 1},
        (SIGNED << 4).view(np.uint16),
        SIGNED,
    ),
    "high bit in the middle, an overlay around": (
        {"BitsStored": 12, "HighBit": 13},
        (UNSIGNED << 2) | np.uint16(0xC003),
        UNSIGNED,
    ),
    "an overlay above the stored bits": ({"BitsStored": 12, "HighBit": 11}, UNSIGNED | np.uint16(0x8000), UNSIGNED),
    "signed under an overlay": (
        {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1},
        (SIGNED.view(np.uint16) & 0x0FFF) | np.uint16(0x2000),
        SIGNED,
    ),
    "no HighBit and no BitsStored": ({"BitsStored": None, "HighBit": None}, UNSIGNED, UNSIGNED),
    "eight bits": ({}, (UNSIGNED >> 4).astype(np.uint8), UNSIGNED >> 4),
    "32 bits": ({}, UNSIGNED.astype(np.uint32) * 70000, UNSIGNED.astype(float) * 70000),
    "signed 32 bits": ({}, SIGNED.astype(np.int32) * 70000, SIGNED.astype(float) * 70000),
}


#: pydicom does not compress the others.
RUN_LENGTH_ENCODED = [name for name in CELLS if "32 bits" not in name and "no HighBit" not in name]


@pytest.mark.parametrize(
    ("syntax", "name"),
    [(syntax, name) for syntax in (ExplicitVRLittleEndian, ExplicitVRBigEndian) for name in CELLS]
    + [(RLELossless, name) for name in RUN_LENGTH_ENCODED],
)
def test_values_are_taken_from_the_stored_bits(tmp_path: Path, name: str, syntax: str):
    attributes, cells, expected = CELLS[name]
    made = slice_data_set(cells, **attributes)
    if syntax == ExplicitVRBigEndian:
        made.PixelData = cells.astype(cells.dtype.newbyteorder(">")).tobytes()
        made["PixelData"].VR = "OB" if cells.itemsize == 1 else "OW"
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if syntax == ExplicitVRBigEndian else ExplicitVRLittleEndian
    if syntax == RLELossless:
        made.compress(RLELossless, generate_instance_uid=False)
    made.save_as(tmp_path / "slice.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(measured(tmp_path / "slice.dcm"), expected)


def test_what_the_header_leaves_out_has_its_usual_value(tmp_path: Path):
    left_out = ("SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation", "BitsStored", "HighBit")
    path = as_file(tmp_path, UNSIGNED, **dict.fromkeys(left_out))
    np.testing.assert_array_equal(measured(path), UNSIGNED)


def test_the_pixels_of_ge_s_own_syntax_are_big_endian_in_a_little_endian_file(tmp_path: Path):
    made = slice_data_set(UNSIGNED)
    made.PixelData = UNSIGNED.astype(">u2").tobytes()
    path = write(tmp_path / "slice.dcm", made, ImplicitVRLittleEndian)
    plain, own = b"1.2.840.10008.1.2\0", b"1.2.840.113619.5.2"
    assert path.read_bytes().count(plain) == 1
    path.write_bytes(path.read_bytes().replace(plain, own))
    np.testing.assert_array_equal(measured(path), UNSIGNED)


@pytest.mark.parametrize(("prefix", "kind", "pad"), [("Float", np.float32, "FL"), ("DoubleFloat", np.float64, "FD")])
def test_floating_point_pixels_and_their_padding(tmp_path: Path, prefix: str, kind: type, pad: str):
    values = (SIGNED / 7).astype(kind)
    stored, where = padded(values, -1e6)
    made = slice_data_set(SIGNED, PixelData=None, BitsStored=None, HighBit=None, PixelRepresentation=None)
    made.BitsAllocated = values.itemsize * 8
    setattr(made, f"{prefix}PixelData", stored.tobytes())
    made.add_new(f"{prefix}PixelPaddingValue", pad, -1e6)
    found = measured(write(tmp_path / "slice.dcm", made))
    np.testing.assert_array_equal(np.isnan(found), where)
    np.testing.assert_array_equal(found[~where], values[~where])


@pytest.mark.parametrize("kind", [np.uint32, np.int32])
def test_32_bit_pixels_that_a_big_endian_file_has_in_little_endian_order_are_recognized(tmp_path: Path, kind: type):
    smooth = (np.arange(32)[:, None] * 1000 + np.arange(40) * 300).astype(kind)
    values = smooth - kind(20000) if kind is np.int32 else smooth
    for order in "<>":
        made = slice_data_set(values)
        made.PixelData = values.astype(np.dtype(kind).newbyteorder(order)).tobytes()
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        made.save_as(tmp_path / "slice.dcm", enforce_file_format=True)
        np.testing.assert_array_equal(measured(tmp_path / "slice.dcm"), values)


def lut(first: int, entries: np.ndarray, bits: int = 16, count: int | None = None, **attributes: Any) -> list[Dataset]:
    made = item(**attributes)
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) if count is None else count, first, bits])
    made.add_new("LUTData", "OW", entries.tobytes())
    return [made]


LUTS: dict[str, tuple[np.ndarray, list[Dataset], Callable[[np.ndarray], np.ndarray]]] = {
    "HU, which are negative in air": (
        UNSIGNED,
        lut(0, (np.arange(4096) * 2 - 1000).astype(np.int16), ModalityLUTType="HU"),
        lambda stored: stored * 2.0 - 1000,
    ),
    "optical density, never negative": (
        UNSIGNED,
        lut(0, (np.arange(4096) * 16).astype(np.uint16), ModalityLUTType="OD"),
        lambda stored: stored * 16.0,
    ),
    "a first entry below zero": (
        SIGNED,
        lut(-1024, (np.arange(2600) * 3).astype(np.uint16), ModalityLUTType="US"),
        lambda stored: (stored + 1024) * 3.0,
    ),
    "ends that stand for all beyond": (
        UNSIGNED,
        lut(1000, (np.arange(500) + 7).astype(np.uint16), ModalityLUTType="US"),
        lambda stored: np.clip(stored.astype(float), 1000, 1499) - 993,
    ),
    "entries of eight bits, packed": (
        UNSIGNED >> 4,
        lut(0, np.arange(256, dtype=np.uint8)[::-1].copy(), bits=8, ModalityLUTType="US"),
        lambda stored: 255.0 - stored,
    ),
    "65536 entries, announced as 0": (
        UNSIGNED,
        lut(0, np.arange(65536, dtype=np.uint16)[::-1].copy(), count=0, ModalityLUTType="US"),
        lambda stored: 65535.0 - stored,
    ),
}


@pytest.mark.parametrize("name", LUTS)
def test_a_modality_lut_says_what_was_measured(tmp_path: Path, name: str):
    pixels, sequence, expected = LUTS[name]
    path = as_file(tmp_path, pixels, ModalityLUTSequence=sequence, RescaleSlope=None, RescaleIntercept=None)
    np.testing.assert_array_equal(measured(path), expected(pixels))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"RescaleSlope": None, "RescaleIntercept": None}, UNSIGNED),
        ({"RescaleSlope": None, "RescaleIntercept": -5}, UNSIGNED - 5.0),
        ({"RescaleSlope": 0, "RescaleIntercept": -5}, UNSIGNED - 5.0),
        ({"RescaleSlope": 0.5, "RescaleIntercept": None}, UNSIGNED / 2),
        ({"RescaleSlope": -1, "RescaleIntercept": 4095}, 4095.0 - UNSIGNED),
    ],
)
def test_rescale_that_lacks_a_part_or_is_zero(tmp_path: Path, attributes: dict[str, Any], expected: np.ndarray):
    np.testing.assert_array_equal(measured(as_file(tmp_path, UNSIGNED, **attributes)), expected)


def test_frames_without_a_rescale_of_their_own_have_that_of_the_instance(tmp_path: Path):
    stored = stored_values((4, 6, 8))
    path = write(tmp_path / "e.dcm", multiframe_data_set(stored))
    made = pydicom.dcmread(path)
    made.RescaleSlope, made.RescaleIntercept = 2, -1024
    made.save_as(path)
    np.testing.assert_array_equal(read_volume(path).voxels, stored * 2.0 - 1024)


PADDINGS: dict[str, tuple[np.ndarray, int, dict[str, tuple[str, int]]]] = {
    "signed": (SIGNED, -2000, {"PixelPaddingValue": ("SS", -2000)}),
    "signed, written as unsigned": (SIGNED, -2000, {"PixelPaddingValue": ("US", 63536)}),
    "the lowest of all": (SIGNED, -32768, {"PixelPaddingValue": ("SS", -32768)}),
    "unsigned": (UNSIGNED, 63536, {"PixelPaddingValue": ("US", 63536)}),
    "unsigned, written as signed": (UNSIGNED, 63536, {"PixelPaddingValue": ("SS", -2000)}),
    "above the values": (UNSIGNED, 65535, {"PixelPaddingValue": ("US", 65535)}),
    "a range": (SIGNED, -1500, {"PixelPaddingValue": ("SS", -1100), "PixelPaddingRangeLimit": ("SS", -2000)}),
    "a range upward": (UNSIGNED, 60000, {"PixelPaddingValue": ("US", 5000), "PixelPaddingRangeLimit": ("US", 65535)}),
}


def padded(pixels: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels with a frame of padding, and where it is."""
    where = np.ones(pixels.shape, bool)
    where[..., 1:-1, 2:-2] = False
    return np.where(where, np.array(value, pixels.dtype), pixels), where


@pytest.mark.parametrize("name", PADDINGS)
def test_padding_is_no_measurement(tmp_path: Path, name: str):
    pixels, value, elements = PADDINGS[name]
    stored, where = padded(pixels, value)
    made = slice_data_set(stored, RescaleIntercept=-24)
    for keyword, (kind, number) in elements.items():
        made.add_new(keyword, kind, number)
    found = measured(write(tmp_path / "slice.dcm", made))
    np.testing.assert_array_equal(np.isnan(found), where)
    np.testing.assert_array_equal(found[~where], pixels[~where] - 24.0)


def test_padding_outside_the_stored_bits_hits_no_measured_value(tmp_path: Path):
    """63536 in 12 bits is 2096, which may well be measured: what counts is the whole cell."""
    pixels = np.full((6, 8), 2096, np.uint16)
    stored, where = padded(pixels, 63536)
    made = slice_data_set(stored, BitsStored=12, HighBit=11)
    made.add_new("PixelPaddingValue", "US", 63536)
    np.testing.assert_array_equal(np.isnan(measured(write(tmp_path / "slice.dcm", made))), where)


@pytest.mark.parametrize(("modality", "stands_for_padding"), [("CT", -1000.0), ("MR", None), ("PT", None)])
def test_padding_is_read_as_air_or_as_the_lowest_value_measured(
    tmp_path: Path, modality: str, stands_for_padding: float | None
):
    pixels = stored_values((4, 6, 8))
    stored, where = padded(pixels, -32768)
    write_series(tmp_path, stored, Modality=modality, PixelPaddingValue=-32768, RescaleIntercept=-24)
    lowest = pixels[~where].min() - 24.0
    expected = np.where(where, lowest if stands_for_padding is None else stands_for_padding, pixels - 24.0)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, expected)


def test_a_volume_of_padding_alone_is_refused(tmp_path: Path):
    write_series(tmp_path, np.full((4, 6, 8), -2000, np.int16), PixelPaddingValue=-2000)
    with pytest.raises(NotAVolumeError, match="every pixel is marked as padding"):
        read_volume(tmp_path)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bits that contradict": ({"BitsStored": 12, "HighBit": 16}, "BitsStored 12 and HighBit 16 contradict"),
    "a LUT cut off": (
        {"ModalityLUTSequence": lut(0, np.arange(9, dtype=np.uint16), count=4096)},
        "9 entries of 16 bits, but announces 4096",
    ),
    "a LUT without data": ({"ModalityLUTSequence": [item(ModalityLUTType="HU")]}, "no usable LUTDescriptor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_defined_values_is_refused_with_the_cause(tmp_path: Path, name: str):
    attributes, reason = REFUSED[name]
    write_series(tmp_path, stored_values((4, 6, 8), signed=False), **attributes)
    with pytest.raises(UnreadableFileError, match=reason):
        read_volume(tmp_path)


def test_a_shifted_high_bit_under_jpeg_is_refused(tmp_path: Path):
    path = compressed(as_file(tmp_path, UNSIGNED), JPEGLosslessSV1)
    made = pydicom.dcmread(path)
    made.BitsStored, made.HighBit = 12, 15
    made.save_as(path)
    with pytest.raises(UndecodableError, match="BitsStored 12 with HighBit 15 is not defined for JPEG Lossless"):
        measured(path)


def test_a_syntax_that_no_decoder_reads_is_refused_with_its_name_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError

    path = compressed(as_file(tmp_path, UNSIGNED), JPEG2000Lossless)
    made = pydicom.dcmread(path)
    monkeypatch.setattr(decoding.SHARED, "pixels", refuse)
    for syntax, reason in (
        (JPEGLosslessSV1, r"neither GDCM nor pydicom can decode it \(JPEG Lossless.*install the Python packages pylib"),
        (MPEG2MPML, r"MPEG2 .* is not decoded here; convert it"),
        ("1.2.3.4", r"transfer syntax is not one of the standard's \(1.2.3.4\); convert it"),
    ):
        made.file_meta.TransferSyntaxUID = syntax
        made.save_as(path, implicit_vr=False, little_endian=True)
        with pytest.raises(UndecodableError, match=reason):
            measured(path)


def test_a_stream_of_another_size_than_announced_never_reaches_a_decoder(tmp_path: Path):
    for syntax in (JPEGLosslessSV1, JPEG2000Lossless):
        made = pydicom.dcmread(compressed(as_file(tmp_path, UNSIGNED), syntax))
        made.Rows = 4096
        made.save_as(tmp_path / "larger.dcm")
        with pytest.raises(UndecodableError, match=r"announces 4096 x 40 JPEG .* holds an image of 32 x 40"):
            measured(tmp_path / "larger.dcm")


def series_of(folder: Path, syntax: str) -> np.ndarray:
    stored = stored_values((6, 32, 32), signed=False)
    for path in write_series(folder, stored):
        compressed(path, syntax)
    (folder / "compressed.dcm").unlink(missing_ok=True)
    return stored


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLosslessSV1])
@pytest.mark.parametrize("lost", [1, 4, 5, 300, 700])
def test_a_compressed_file_that_is_cut_off_costs_its_slice(tmp_path: Path, syntax: str, lost: int):
    stored = series_of(tmp_path, syntax)
    torn = tmp_path / "slice004.dcm"
    torn.write_bytes(torn.read_bytes()[: -4 - lost])  # the last 8 bytes end the sequence of items; 4 would do
    found = discover([tmp_path], root=Roots(), tokens=PatientTokens(b"k" * 32))
    (source,) = found.sources
    assert source.notes == ("1 slice missing (slices lie 2.5 mm apart)",)
    np.testing.assert_array_equal(source.read().voxels, stored[[0, 1, 2, 4, 5]])
    (failure,) = found.failures
    assert failure.path == torn
    assert failure.reason.startswith(f"truncated: {lost} bytes of pixel data are missing")


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLosslessSV1])
def test_a_compressed_slice_that_was_not_copied_to_its_end_costs_itself(tmp_path: Path, syntax: str):
    stored = series_of(tmp_path, syntax)
    torn = tmp_path / "slice004.dcm"
    whole = torn.read_bytes()
    torn.write_bytes(whole[:-500] + bytes(492) + whole[-8:])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, stored[[0, 1, 2, 4, 5]])
    np.testing.assert_allclose(volume.slices.position, [0, 2.5, 5, 10, 12.5])
    (note,) = volume.notes
    assert note.startswith("1 of 6 slices left out: slice004.dcm: its pixel data cannot be decoded: truncated")


def test_a_series_of_which_most_slices_cannot_be_decoded_is_refused(tmp_path: Path):
    series_of(tmp_path, RLELossless)
    for path in sorted(tmp_path.iterdir())[1:5]:
        whole = path.read_bytes()
        path.write_bytes(whole[:-500] + bytes(492) + whole[-8:])
    with pytest.raises(UnreadableFileError, match=r"slice002\.dcm: .*truncated"):
        read_volume(tmp_path)
