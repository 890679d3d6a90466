"""What files that do not say it themselves are: from a table, an option, a sidecar, or the intensities."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine.dicom_files import PATIENT_ID, stored_values, write_series
from VolumeRetrievalEngine.errors import MetadataError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import MetadataTable, Roots, VolumeSource, discover, infer_modality

TOKENS = PatientTokens(b"k" * 32)


def write_image(path: Path, voxels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(ct_like() if voxels is None else voxels), str(path))
    return path


def ct_like() -> np.ndarray:
    """int16 [k, j, i]: a noisy cylinder of soft tissue with bone in air, HU."""
    generator = np.random.default_rng(1)
    _, j, i = np.mgrid[:12, -32:32, -32:32]
    values = np.where(i**2 + j**2 < 25**2, 40.0, -1000.0) + generator.normal(0, 15, i.shape)
    values[i**2 + j**2 < 16] = 700
    return values.astype(np.int16)


def mr_like() -> np.ndarray:
    generator = np.random.default_rng(2)
    _, j, i = np.mgrid[:12, -32:32, -32:32]
    signal = np.where(i**2 + j**2 < 25**2, 300 + 80 * np.sin(i / 5.0), 0.0)
    return np.abs(signal + generator.normal(0, 12, i.shape)).astype(np.int16)


def found(*paths: Path, **options) -> list[VolumeSource]:
    return discover(paths, root=Roots(), tokens=TOKENS, **options).sources


def table(folder: Path, *lines: str, head: str = "path,modality,body_part,patient,study") -> MetadataTable:
    path = folder / "metadata.csv"
    path.write_text("\n".join([head, *lines]), encoding="utf-8")
    return MetadataTable.from_csv(path)


def test_a_table_tells_modality_body_part_patient_and_study(tmp_path: Path):
    write_image(tmp_path / "a" / "x.nii.gz")
    (source,) = found(tmp_path, metadata=table(tmp_path, "a/x.nii.gz,mri,knee,P1,S1"))
    assert (source.attributes.modality, source.attributes.modality_from) == ("MR", "csv")
    assert source.attributes.body_part == "KNEE"
    assert source.identity.patient_token == TOKENS.token("", "P1") != ""
    assert source.identity.study_token != ""
    assert source.read().attributes.modality_from == "csv"


@pytest.mark.parametrize("form", ["relative to table", "absolute", "relative to root", "folder", "./", "backslashes"])
def test_paths_in_a_table_may_be_written_in_any_way(tmp_path: Path, form: str):
    archive = tmp_path / "archive"
    path = write_image(archive / "p 1" / "x.nii.gz")
    written = {
        "relative to table": "archive/p 1/x.nii.gz",
        "absolute": str(path),
        "relative to root": "p 1/x.nii.gz",
        "folder": "archive/p 1/",
        "./": "./archive/p 1/x.nii.gz",
        "backslashes": "archive\\p 1\\x.nii.gz",
    }[form]
    (source,) = found(archive, metadata=table(tmp_path, f"{written},PT,,,"))
    assert source.attributes.modality == "PT"


def test_the_row_nearest_to_the_file_counts_and_unused_rows_are_known(tmp_path: Path):
    write_image(tmp_path / "a" / "x.nii.gz")
    write_image(tmp_path / "a" / "y.nii.gz")
    rows = table(tmp_path, "a,MR,BRAIN,P,", "a/x.nii.gz,CT,HEAD,P,", "a/z.nii.gz,CT,HEAD,P,")
    assert [source.attributes.modality for source in found(tmp_path, metadata=rows)] == ["CT", "MR"]
    assert rows.unused() == ["a/z.nii.gz"]


def test_a_table_of_which_no_path_is_right_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_image(tmp_path / "a" / "x.nii.gz")
    found(tmp_path, metadata=table(tmp_path, "a/x.nii.gz,CT", "b/x.nii.gz,CT"))
    assert not caplog.records
    found(tmp_path, metadata=table(tmp_path, "x.nii.gz,CT", "b/x.nii.gz,CT"))
    assert [one.levelname for one in caplog.records] == ["WARNING"] and "2 of 2 rows" in caplog.text


def test_letters_that_a_file_system_takes_apart_are_still_the_same(tmp_path: Path):
    write_image(tmp_path / unicodedata.normalize("NFD", "Müller") / "x.nii.gz")
    rows = table(tmp_path, unicodedata.normalize("NFC", "Müller") + "/x.nii.gz,MR,,,")
    assert found(tmp_path, metadata=rows)[0].attributes.modality == "MR"


def test_columns_may_be_missing_extra_or_in_any_order(tmp_path: Path):
    write_image(tmp_path / "x.nii.gz")
    rows = table(tmp_path, "3;x.nii.gz;MR;what", head="id;Path;MODALITY;note")
    (source,) = found(tmp_path, metadata=rows)
    assert source.attributes.modality == "MR" and source.identity.patient_token == ""


def test_a_table_that_is_none_says_what_is_expected(tmp_path: Path):
    with pytest.raises(MetadataError, match=r"columns path, modality.*found file, kind"):
        table(tmp_path, "x,y", head="file,kind")
    (tmp_path / "metadata.csv").write_bytes("path,body_part\nx,Schädel".encode("utf-16"))
    with pytest.raises(MetadataError, match="expected UTF-8"):
        MetadataTable.from_csv(tmp_path / "metadata.csv")
    with pytest.raises(MetadataError, match=r"none\.csv: not readable"):
        MetadataTable.from_csv(tmp_path / "none.csv")


def test_dicom_headers_count_more_than_the_table_which_fills_what_they_lack(tmp_path: Path):
    write_series(tmp_path / "full", stored_values())
    write_series(tmp_path / "bare", stored_values(), series="1.9", Modality="", BodyPartExamined=None, PatientID="")
    rows = table(tmp_path, "full,MR,KNEE,P9,", "bare,MR,KNEE,P9,")
    bare, full = found(tmp_path, metadata=rows, modality="PT")
    assert (full.attributes.modality, full.attributes.modality_from, full.attributes.body_part) == (
        "CT",
        "dicom",
        "CHEST",
    )
    assert full.identity.patient_token == TOKENS.token("", PATIENT_ID)
    assert (bare.attributes.modality, bare.attributes.modality_from, bare.attributes.body_part) == ("MR", "csv", "KNEE")
    assert bare.identity.patient_token == TOKENS.token("", "P9")


def test_the_same_patient_in_dicom_and_in_the_table_is_the_same(tmp_path: Path):
    write_series(tmp_path / "series", stored_values())
    write_image(tmp_path / "x.nii.gz")
    one, other = found(tmp_path, metadata=table(tmp_path, f"x.nii.gz,CT,,{PATIENT_ID},"))
    assert one.identity.patient_token == other.identity.patient_token != ""


def test_an_issuer_keeps_equal_patient_ids_of_two_hospitals_apart_and_unknown_is_unknown(tmp_path: Path):
    for number, issuer in enumerate(("A", "B", "A")):
        write_series(tmp_path / str(number), stored_values(), series=f"1.{number}", IssuerOfPatientID=issuer)
    write_series(tmp_path / "3", stored_values(), series="1.3", PatientID="", IssuerOfPatientID="A")
    first, second, third, unknown = (source.identity.patient_token for source in found(tmp_path))
    assert first == third != second
    assert unknown == ""


def test_sidecar_table_and_option_are_used_in_their_order(tmp_path: Path):
    write_image(tmp_path / "x.nii.gz")
    sidecar = {
        "Modality": "MR",
        "BodyPartExamined": "Brain",
        "Manufacturer": "ACME",
        "SeriesDescription": "t1 mprage",
        "PatientName": "Kirnberger",
    }
    (tmp_path / "x.json").write_text(json.dumps(sidecar))
    (source,) = found(tmp_path)
    known = source.attributes
    assert (known.modality, known.modality_from, known.body_part) == ("MR", "sidecar", "BRAIN")
    assert (known.manufacturer, known.series_description) == ("ACME", "t1 mprage")
    assert "Kirnberger" not in repr(known)
    (source,) = found(tmp_path, modality="pet")
    assert (source.attributes.modality, source.attributes.modality_from) == ("PT", "option")
    assert source.attributes.body_part == "BRAIN"
    (source,) = found(tmp_path, modality="pet", metadata=table(tmp_path, "x.nii.gz,CT,NECK,,"))
    assert (source.attributes.modality, source.attributes.modality_from) == ("CT", "csv")
    assert source.attributes.body_part == "NECK"


@pytest.mark.parametrize(
    ("fields", "modality"),
    [({"TracerName": "FDG"}, "PT"), ({"MagneticFieldStrength": 3}, "MR"), ({"Modality": 7}, ""), ({}, "")],
)
def test_a_sidecar_without_modality_tells_it_by_its_fields(tmp_path: Path, fields: dict, modality: str):
    write_image(tmp_path / "x.nii")
    (tmp_path / "x.json").write_text(json.dumps(fields))
    assert found(tmp_path)[0].attributes.modality == modality


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\x00"])
def test_a_damaged_sidecar_is_noted_and_does_no_harm(tmp_path: Path, content: str):
    write_image(tmp_path / "x.nii")
    (tmp_path / "x.json").write_text(content)
    (source,) = found(tmp_path)
    assert len(source.notes) == 1 and source.notes[0].startswith("sidecar x.json")
    assert source.read().attributes.modality == "CT"


def test_a_changed_table_is_seen_although_the_files_are_remembered(tmp_path: Path):
    from VolumeRetrievalEngine.reading import ScanCache

    write_image(tmp_path / "data" / "x.nii.gz")
    with ScanCache(tmp_path / "cache") as cache:
        assert found(tmp_path / "data", scan_cache=cache)[0].attributes.modality == ""
        rows = table(tmp_path, "data/x.nii.gz,MR,,P,")
        (source,) = found(tmp_path / "data", scan_cache=cache, metadata=rows)
        assert cache.hits == 1
        assert source.attributes.modality == "MR" and source.identity.patient_token


def test_the_modality_is_inferred_when_voxels_are_read_and_recorded_as_inferred(tmp_path: Path):
    write_image(tmp_path / "ct.nii.gz")
    write_image(tmp_path / "mr.nii.gz", mr_like())
    ct, mr = found(tmp_path)
    assert (ct.attributes.modality, ct.attributes.modality_from) == ("", "")
    assert (ct.read().attributes.modality, ct.read().attributes.modality_from) == ("CT", "inferred")
    assert (mr.read().attributes.modality, mr.read().attributes.modality_from) == ("MR", "inferred")


def test_intensities_that_are_not_sure_give_no_modality():
    window = np.clip(ct_like(), -160, 240).astype(np.float32)
    shifted = np.clip(ct_like() + 1024, 0, None).astype(np.float32)
    labels = (mr_like() > 200).astype(np.float32)
    pet = np.random.default_rng(0).exponential(0.1, (12, 64, 64)).astype(np.float32) ** 2
    assert [infer_modality(one) for one in (window, shifted, labels, pet)] == ["", "", "", ""]


def test_the_inferred_modality_is_right_on_real_volumes(shared: Path):
    """All files of the shared volumes, DICOM and others: all CT but one that is windowed, all MR, and no PET is called
    anything. Their modalities are in the manifest.
    """
    data = shared / "data"
    manifest = MetadataTable.from_csv(data / "manifest.csv")
    confusion: dict[tuple[str, str], list[str]] = {}
    for source in found(data, exclude=["*/labels/*"], metadata=manifest):
        inferred = infer_modality(source.read().voxels)
        confusion.setdefault((source.attributes.modality, inferred), []).append(source.path.parent.name)
    counts = {pair: len(names) for pair, names in confusion.items()}
    assert counts.get(("CT", "CT"), 0) >= 54
    assert counts.get(("MR", "MR"), 0) >= 49
    assert all(inferred in (true, "") for true, inferred in counts), confusion
