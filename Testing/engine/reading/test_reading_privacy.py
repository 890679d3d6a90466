"""No patient's name, ID or birth date in anything that reading keeps, says or logs."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pydicom
import pytest
from engine.dicom_files import BIRTH_DATE, NAME, PATIENT_ID, slice_data_set, stored_values, write, write_series
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Roots, ScanCache, discover, read_volume

DESCRIPTION = "thin slices of the lung"


def everything_said(folder: Path, cache_path: Path) -> str:
    """The text of all that a scan and the reading of every volume give, as a careless caller would print it."""
    with ScanCache(cache_path) as cache:
        found = discover([folder], root=Roots(), tokens=PatientTokens(b"k" * 32), scan_cache=cache)
    said = [repr(found), str(found)]
    for source in found.sources:
        said += [repr(source), str(source), repr(source.identity), repr(source.files), repr(source.notes)]
        try:
            volume = source.read()
            said += [repr(volume.identity), repr(volume.slices), repr(volume.notes), repr(volume.attributes)]
        except VolumeRetrievalError as error:
            said += [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
    return "\n".join(said) + cache_path.read_bytes().decode("latin-1")


def test_names_ids_and_birth_dates_appear_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture, recwarn: pytest.WarningsRecorder
):
    caplog.set_level(logging.DEBUG)
    write_series(tmp_path / "a" / "good", stored_values())
    broken = slice_data_set(stored_values()[0], series="1.7")
    # Values in places where they do not belong, which pydicom quotes in what it warns about and raises.
    broken.add_new(0x00200032, "LO", f"{PATIENT_ID}\\{NAME}\\1")
    broken.add_new(0x00280010, "LO", PATIENT_ID)
    broken.add_new(0x00080005, "CS", PATIENT_ID)
    broken.add_new(0x00200013, "LO", f"{BIRTH_DATE}x")
    write(tmp_path / "a" / "broken.dcm", broken)
    cut = write_series(tmp_path / "a" / "cut", stored_values(), series="1.8")
    cut[0].write_bytes(cut[0].read_bytes()[:700])
    flat = write_series(tmp_path / "a" / "flat", stored_values() * 0, series="1.9")
    caplog.clear()  # pydicom's own words about what was written here
    capfd.readouterr()
    recwarn.clear()
    said = everything_said(tmp_path / "a", tmp_path / "cache")
    for path in (flat[0], cut[0], tmp_path / "a" / "broken.dcm"):
        with pytest.raises(VolumeRetrievalError) as caught:
            read_volume(path)
        said += repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    printed = capfd.readouterr()
    said += caplog.text + printed.out + printed.err + "".join(str(one.message) for one in recwarn)
    for secret in (NAME, "Kirnberger", "Ottilie", PATIENT_ID, BIRTH_DATE):
        assert secret not in said
    assert DESCRIPTION not in caplog.text


def test_a_source_does_not_print_what_a_technician_typed(tmp_path: Path):
    write_series(tmp_path, stored_values())
    (source,) = discover([tmp_path], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert source.attributes.series_description == DESCRIPTION
    assert DESCRIPTION not in repr(source) + str(source)


def test_identifiers_in_a_description_are_taken_out(tmp_path: Path):
    typed = f"CT of {NAME.partition('^')[0].upper()}, {PATIENT_ID}_arterial born {BIRTH_DATE}"
    write_series(tmp_path, stored_values(), SeriesDescription=typed, ContrastBolusAgent=f"for {PATIENT_ID}")
    (source,) = discover([tmp_path], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert source.attributes.series_description == "CT of [removed], [removed]_arterial born [removed]"
    assert source.attributes.contrast_agent == "for [removed]"


def test_short_names_are_only_taken_out_as_words(tmp_path: Path):
    write_series(tmp_path, stored_values(), PatientName="Li^Al", SeriesDescription="li AXIAL LIVER al")
    (source,) = discover([tmp_path], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert source.attributes.series_description == "[removed] AXIAL LIVER [removed]"


def test_the_patients_of_real_series_appear_nowhere(
    shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
):
    caplog.set_level(logging.DEBUG)
    secrets: set[str] = set()
    for number, folder in enumerate(sorted((shared / "data").glob("*/dicom"))):
        files = sorted(path for path in folder.rglob("*") if path.is_file())[:12]
        header = pydicom.dcmread(files[0], stop_before_pixels=True)
        secrets |= {str(header.get(key, "")) for key in ("PatientName", "PatientID", "PatientBirthDate")}
        # Under neutral names: the paths of the shared volumes hold the IDs, and paths may be shown.
        for place, file in enumerate(files):
            target = tmp_path / "archive" / str(number) / f"{place}.dcm"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    said = everything_said(tmp_path / "archive", tmp_path / "cache")
    printed = capfd.readouterr()
    said += caplog.text + printed.out + printed.err
    secrets = {secret for secret in secrets if len(secret) > 3 and secret not in ("00010101", "REMOVED")}
    assert len(secrets) > 5
    for secret in secrets:
        assert secret not in said


def test_a_name_that_one_file_of_a_series_has_lost_is_known_from_the_others(tmp_path: Path):
    paths = write_series(tmp_path / "a", stored_values(), SeriesDescription="Ottilie KIRNBERGER thin")
    for path, name in ((paths[0], None), (paths[2], "")):
        data_set = pydicom.dcmread(path)
        if name is None:
            del data_set.PatientName
        else:
            data_set.PatientName = name
        data_set.save_as(path)
    assert "kirnberger" not in everything_said(tmp_path / "a", tmp_path / "cache").lower()
    (source,) = discover([tmp_path / "a"], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert source.attributes.series_description == "[removed] [removed] thin"


def test_a_text_under_a_damaged_tag_is_not_kept(tmp_path: Path):
    """One bit makes ContrastBolusAgent (0018,0010) of PatientName (0010,0010); the order of the tags tells."""
    for path in write_series(tmp_path / "a", stored_values()):
        content = path.read_bytes()
        tag = b"\x10\x00\x10\x00PN"
        assert content.count(tag) == 1
        path.write_bytes(content.replace(tag, b"\x18\x00\x10\x00LO"))
    said = everything_said(tmp_path / "a", tmp_path / "cache")
    assert "Kirnberger" not in said
    (source,) = discover([tmp_path / "a"], root=Roots(), tokens=PatientTokens(b"k" * 32)).sources
    assert source.attributes.modality == "CT"
    assert source.attributes.contrast_agent == ""


@pytest.mark.parametrize(
    "keyword",
    ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "AcquisitionTime", "ImageType"],
)
def test_a_name_in_an_element_that_is_no_free_text_is_not_kept(tmp_path: Path, keyword: str):
    """As a faulty export leaves it; what stands there is otherwise cached, stored and quoted in reasons."""
    with pydicom.config.disable_value_validation():
        for number, path in enumerate(write_series(tmp_path / "a", stored_values())):
            data_set = pydicom.dcmread(path)
            setattr(data_set, keyword, NAME)
            if number == 0:
                del data_set.PixelData
            data_set.save_as(path)
    said = everything_said(tmp_path / "a", tmp_path / "cache").lower()
    assert "kirnberger" not in said and "ottilie" not in said


def test_a_file_whose_uid_is_damaged_is_no_series_of_its_own(tmp_path: Path):
    """Nothing else would tell whose it is, if the patient's name is damaged, too."""
    paths = write_series(tmp_path / "a", stored_values(), SeriesDescription="Ottilie KIRNBERGER thin")
    damaged = bytearray(paths[0].read_bytes().replace(b"Kirnberger^", b"Ki\0\0\0\0rger^"))
    series_uid = damaged.index(b"\x20\x00\x0e\x00UI") + 8
    damaged[series_uid + 4 : series_uid + 8] = bytes(4)
    paths[0].write_bytes(damaged)
    assert "kirnberger" not in everything_said(tmp_path / "a", tmp_path / "cache").lower()
    (failure,) = discover([tmp_path / "a"], root=Roots(), tokens=PatientTokens(b"k" * 32)).failures
    assert failure.reason == "damaged header: its UIDs hold what is no text; copy or export it again"


@pytest.mark.parametrize(
    "tag", [b"\x08\x00\x60\x00CS", b"\x08\x00\x70\x00LO", b"\x08\x00\x3e\x10LO", b"\x08\x00\x08\x00CS"]
)
def test_a_value_that_runs_over_into_the_patients_name_is_not_kept(tmp_path: Path, tag: bytes):
    """Modality, Manufacturer, SeriesDescription, ImageType: of a length that is damaged."""
    for path in write_series(tmp_path / "a", stored_values()):
        content = bytearray(path.read_bytes())
        at, end = content.index(tag), content.index(b"\x10\x00\x30\x00DA")  # the birth date comes after the name
        content[at + 6 : at + 8] = (end - at - 8).to_bytes(2, "little")
        path.write_bytes(content)
    assert "kirnberger" not in everything_said(tmp_path / "a", tmp_path / "cache").lower()
