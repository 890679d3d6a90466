"""Phantoms: repeatable people, plausible anatomy, valid DICOM. Nothing here says anything about real patients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.phantoms import (
    FIELDS_OF_VIEW,
    ArchivedSeries,
    Patient,
    PhantomScan,
    SeriesLabels,
    archive_patient,
    make_query,
    scan,
    write_archive,
    write_dicom_series,
)
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.reading import Roots, discover

COARSE = (4.0, 6.0)


def organ_center(picture: PhantomScan, organ: str) -> np.ndarray:
    """float64 [3]: the center of mass of an organ in RAS mm."""
    kji = np.argwhere(picture.masks[organ]).mean(axis=0)
    return picture.affine[:3, :3] @ kji[::-1] + picture.affine[:3, 3]


SEEDS = (1, 4, 18)  # a slim man, an enhanced man tilted backwards, a stout enhanced woman
#: Attributes of the CT image's mandatory modules: type 1 needs a value, type 2 may be empty (PS3.3 A.3.3).
CT_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
CT_TYPE_1 = (
    *CT_UIDS, "SOPClassUID", "Modality", "PatientPosition", "ImageType", "PixelSpacing", "ImageOrientationPatient",
    "ImagePositionPatient", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "RescaleIntercept", "RescaleSlope",
)  # fmt: skip
CT_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "SeriesNumber", "PositionReferenceIndicator", "Manufacturer", "InstanceNumber",
    "SliceThickness", "KVP", "AcquisitionNumber", "ContrastBolusAgent",
)  # fmt: skip
#: Organs that nothing but skin, fat and muscle lies between and the air.
DEEP = ("brain", "lungs", "heart", "aorta", "liver", "spleen", "kidneys", "bowel", "bladder", "spine", "ribs")


@pytest.fixture(scope="module", params=SEEDS)
def a_whole_body(request: pytest.FixtureRequest) -> PhantomScan:
    return scan(Patient.random(request.param), "whole", spacing_mm=COARSE)


@pytest.fixture(scope="module")
def an_archive(tmp_path_factory: pytest.TempPathFactory) -> list[ArchivedSeries]:
    return write_archive(tmp_path_factory.mktemp("archive of phantoms"), n_patients=5, seed=3, spacing_mm=(5.0, 10.0))


def _median_hu(picture: PhantomScan, organ: str) -> float:
    return float(np.median(picture.voxels[picture.masks[organ]]))


def test_a_seed_always_gives_the_same_person_and_scan() -> None:
    first = scan(Patient.random(5), "neck", spacing_mm=COARSE, seed=2)
    again = scan(Patient.random(5), "neck", spacing_mm=COARSE, seed=2)
    assert Patient.random(5) == Patient.random(5)
    np.testing.assert_array_equal(first.voxels, again.voxels)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.affine, again.affine)


def test_people_differ_in_size_and_in_where_their_organs_lie() -> None:
    people = [Patient.random(seed) for seed in range(6)]
    assert len({person.breadth for person in people}) == len(people)
    assert {person.sex for person in (Patient.random(seed) for seed in range(12))} == {"F", "M"}
    volumes, gaps = [], []
    for person in people:
        picture = scan(person, "chest-abdomen", spacing_mm=COARSE)
        volumes.append(np.count_nonzero(picture.masks["liver"]) * np.prod(picture.spacing) / 1000)
        gaps.append(organ_center(picture, "spleen") - organ_center(picture, "heart"))
    assert all(700 < volume < 2600 for volume in volumes), f"ml of liver: {volumes}"
    assert np.ptp(volumes) > 100
    assert np.ptp(gaps, axis=0).max() > 8, "mm by which the way from heart to spleen differs between people"


def test_another_scan_of_one_person_differs_in_noise_and_coverage_only() -> None:
    person = Patient.random(2)
    first, second = (scan(person, "chest", spacing_mm=COARSE, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.affine, second.affine)
    np.testing.assert_allclose(organ_center(first, "heart"), organ_center(second, "heart"), atol=1.5)


def test_fields_of_view_of_one_person_show_the_organs_at_the_same_place() -> None:
    person = Patient.random(9)
    whole = scan(person, "whole", spacing_mm=(4.0, 4.0))
    for view, organs in (
        ("head", ("brain", "eyes")),
        ("neck", ("thyroid",)),
        ("chest", ("heart", "sternum")),
        ("abdomen", ("kidneys", "pancreas")),
        ("pelvis", ("bladder", "reproductive")),
    ):
        part = scan(person, view, spacing_mm=(4.0, 4.0), contrast=whole.contrast)
        for organ in organs:
            np.testing.assert_allclose(
                organ_center(part, organ), organ_center(whole, organ), atol=1.5, err_msg=f"{organ} in the {view}"
            )


def test_organs_have_plausible_ct_numbers(a_whole_body: PhantomScan) -> None:
    for organ, low, high in (
        ("lungs", -930, -700),
        ("fat", -130, -70),
        ("muscle", 30, 90),
        ("liver", 40, 130),
        ("spleen", 35, 140),
        ("kidneys", 20, 220),
        ("heart", 25, 170),
        ("aorta", 25, 220),
        ("brain", 20, 50),
        ("bladder", -5, 30),
        ("skull", 300, 1300),
        ("ribs", 150, 900),
        ("spine", 120, 600),
        ("femurs", 50, 1100),
    ):
        assert low < _median_hu(a_whole_body, organ) < high, organ
    air = a_whole_body.voxels[a_whole_body.labels == 0]
    assert -1024 <= air.mean() < -950


def test_contrast_agent_enhances_vessels_and_kidneys_and_leaves_fat_alone() -> None:
    plain, enhanced = (scan(Patient.random(1), "abdomen", spacing_mm=COARSE, contrast=given) for given in (False, True))
    for organ in ("aorta", "kidneys", "liver", "spleen"):
        assert _median_hu(enhanced, organ) > _median_hu(plain, organ) + 30, organ
    assert abs(_median_hu(enhanced, "fat") - _median_hu(plain, "fat")) < 5


def test_a_whole_body_shows_the_organs_in_anatomical_order(a_whole_body: PhantomScan) -> None:
    body = a_whole_body
    height = {organ: organ_center(body, organ)[2] for organ in body.masks}
    downwards = ["brain", "mandible", "thyroid", "heart", "liver", "pancreas", "bowel", "bladder", "femurs"]
    assert sorted(downwards, key=lambda organ: -height[organ]) == downwards
    assert height["brain"] > height["lungs"] > height["liver"] > height["bladder"]
    right = {organ: organ_center(body, organ)[0] for organ in ("liver", "gallbladder", "spleen", "stomach", "heart")}
    assert min(right["liver"], right["gallbladder"]) > right["heart"] > max(right["spleen"], right["stomach"])
    assert organ_center(body, "spine")[1] < organ_center(body, "heart")[1] < organ_center(body, "sternum")[1]


def test_every_organ_lies_within_the_body_and_has_a_mask(a_whole_body: PhantomScan) -> None:
    masks = a_whole_body.masks
    assert len(masks) >= 30
    inside = masks["body"]
    for organ, mask in masks.items():
        assert mask.any() and mask.shape == a_whole_body.voxels.shape, organ
        assert not (mask & ~inside).any(), organ
    assert "table" not in masks
    # The skin closes the body: nothing that lies deep touches the air in front of, behind or beside it.
    outside = ~inside
    touching = np.zeros_like(inside)
    for axis in (1, 2):
        for step in (1, -1):
            touching |= np.roll(outside, step, axis)
    for organ in DEEP:
        assert not (masks[organ] & touching).any(), organ


def test_a_box_holds_its_organ_and_no_more() -> None:
    query = make_query(seed=0, field_of_view="abdomen", organ="kidneys", spacing_mm=COARSE)
    low, high = query.box
    kji = np.argwhere(query.mask)
    points = kji[:, ::-1] @ query.scan.affine[:3, :3].T + query.scan.affine[:3, 3]
    half = query.scan.spacing / 2
    np.testing.assert_allclose(points.min(axis=0) - half, low, atol=1e-6)
    np.testing.assert_allclose(points.max(axis=0) + half, high, atol=1e-6)


@pytest.mark.parametrize("view", list(FIELDS_OF_VIEW))
def test_a_field_of_view_shows_its_region(view: str) -> None:
    shown = {
        "head": ({"brain", "skull", "eyes"}, {"lungs", "liver", "bladder"}),
        "neck": ({"thyroid", "mandible", "airways"}, {"liver", "heart", "bladder"}),
        "chest": ({"lungs", "heart", "ribs"}, {"brain", "bladder", "femurs"}),
        "abdomen": ({"liver", "kidneys", "pancreas", "spleen"}, {"brain", "thyroid", "femurs"}),
        "pelvis": ({"bladder", "femurs", "sacrum"}, {"heart", "liver", "brain"}),
        "chest-abdomen": ({"lungs", "heart", "liver", "kidneys"}, {"brain", "femurs", "bladder"}),
        "whole": ({"brain", "lungs", "liver", "bladder"}, set()),
    }
    present, absent = shown[view]
    picture = scan(Patient.random(3), view, spacing_mm=COARSE)
    assert present <= set(picture.masks)
    assert not absent & set(picture.masks)


def test_spacing_is_as_asked_and_varies_otherwise() -> None:
    asked = scan(Patient.random(1), "head", spacing_mm=(2.5, 4.5))
    np.testing.assert_allclose(asked.spacing, (2.5, 2.5, 4.5))
    pictures = [scan(Patient.random(seed), "head") for seed in range(4)]
    assert len({tuple(picture.spacing) for picture in pictures}) == len(pictures)
    assert all(130 <= picture.voxels.shape[2] <= 185 for picture in pictures)


@pytest.mark.parametrize("spacing", [(0.0, 3.0), (2.0, -1.0)])
def test_an_impossible_spacing_is_refused_by_value(spacing: tuple[float, float]) -> None:
    with pytest.raises(VolumeRetrievalError, match="above 0 mm"):
        scan(Patient.random(0), "head", spacing_mm=spacing)


def test_an_unknown_field_of_view_or_organ_is_refused_with_the_known_ones() -> None:
    with pytest.raises(VolumeRetrievalError, match=r"'knee'.*head, neck"):
        scan(Patient.random(0), "knee")
    with pytest.raises(VolumeRetrievalError, match=r"'bladder'.*brain"):
        make_query(field_of_view="head", organ="bladder", spacing_mm=COARSE)
    with pytest.raises(KeyError, match="bladder"):
        scan(Patient.random(0), "head", spacing_mm=COARSE).masks["bladder"]


def test_a_written_series_is_read_back_by_simpleitk_with_the_same_geometry_and_hu(tmp_path: Path) -> None:
    picture = scan(Patient.random(6), "abdomen", spacing_mm=(3.0, 5.0))
    files = write_dicom_series(picture, tmp_path / "série")
    assert len(files) == picture.voxels.shape[0]
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "série")))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), np.rint(picture.voxels))
    np.testing.assert_allclose(image.GetSpacing(), picture.spacing, atol=1e-4)
    np.testing.assert_allclose(np.multiply(image.GetOrigin(), (-1, -1, 1)), picture.affine[:3, 3], atol=1e-3)
    np.testing.assert_allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-6)


def test_the_engine_reads_a_phantom_archive_as_what_was_written(an_archive: list[ArchivedSeries]) -> None:
    folder = an_archive[0].folder.parents[1]
    found = discover([folder], root=Roots(), tokens=PatientTokens.ephemeral())
    assert not found.skipped
    assert {source.identity.series_uid for source in found.sources} == {series.series_uid for series in an_archive}
    by_uid = {series.series_uid: series for series in an_archive}
    tokens: dict[str, set[str]] = {}
    for source in found.sources:
        series = by_uid[source.identity.series_uid]
        tokens.setdefault(series.patient_id, set()).add(source.identity.patient_token)
        assert source.attributes.modality == "CT"
        assert source.attributes.body_part == FIELDS_OF_VIEW[series.field_of_view].body_part
        # The patients are called Phantom, and whatever names the patient is removed.
        assert source.attributes.manufacturer == "VolumeRetrieval [removed]"
    assert all(len(known) == 1 for known in tokens.values())
    assert len(set.union(*tokens.values())) == len(tokens)
    volume = found.sources[0].read()
    series = by_uid[found.sources[0].identity.series_uid]
    original = scan(series.patient, series.field_of_view, spacing_mm=(5.0, 10.0), seed=3)
    np.testing.assert_allclose(volume.affine, original.affine, atol=1e-3)
    np.testing.assert_array_equal(volume.voxels, np.rint(original.voxels))
    assert not volume.notes


def test_slices_carry_what_the_ct_image_object_requires(tmp_path: Path) -> None:
    files = write_dicom_series(scan(Patient.random(4), "head", spacing_mm=COARSE, contrast=True), tmp_path)
    slices = [pydicom.dcmread(path) for path in files]
    for dataset in slices:
        for name in CT_TYPE_1:
            assert dataset.get(name) not in (None, ""), name
        for name in CT_TYPE_2:
            assert name in dataset, name
        for name in CT_UIDS:
            assert pydicom.uid.UID(dataset[name].value).is_valid, name
        assert len(dataset.PixelData) == 2 * dataset.Rows * dataset.Columns
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert len({dataset.SOPInstanceUID for dataset in slices}) == len(slices)
    assert len({dataset.SeriesInstanceUID for dataset in slices}) == 1
    heights = [float(dataset.ImagePositionPatient[2]) for dataset in slices]
    assert heights == sorted(heights, reverse=True), "instances are numbered from the head downwards"


def test_names_in_an_archive_are_visibly_those_of_phantoms(an_archive: list[ArchivedSeries]) -> None:
    for series in an_archive:
        dataset = pydicom.dcmread(series.files[0], stop_before_pixels=True)
        number = series.patient_id.removeprefix("PHANTOM-")
        assert str(dataset.PatientName) == f"Phantom^{number}"
        assert dataset.PatientID == series.patient_id
        assert dataset.PatientBirthDate == ""
        assert "phantom" in dataset.Manufacturer


def test_an_archive_of_one_seed_is_always_the_same_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_archive(tmp_path / name, n_patients=1, seed=8, fields_of_view=("head",), spacing_mm=(6.0, 20.0))
    first, second = (sorted(p for p in (tmp_path / name).rglob("*") if p.is_file()) for name in ("first", "second"))
    assert [path.relative_to(tmp_path / "first") for path in first] == [
        path.relative_to(tmp_path / "second") for path in second
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_series_that_differ_in_anything_differ_in_their_uids(tmp_path: Path) -> None:
    person = Patient.random(1)
    pictures = [
        scan(person, "head", spacing_mm=(6.0, 20.0)),
        scan(person, "head", spacing_mm=(6.0, 20.0), seed=1),
        scan(person, "head", spacing_mm=(7.0, 20.0)),
        scan(person, "head", spacing_mm=(6.0, 20.0), noise_hu=30),
        scan(person, "head", spacing_mm=(6.0, 20.0), contrast=True),
        scan(Patient.random(2), "head", spacing_mm=(6.0, 20.0)),
    ]
    labels = [SeriesLabels()] * len(pictures) + [SeriesLabels(series_number=2)]
    uids, studies = set(), set()
    for number, (picture, label) in enumerate(zip([*pictures, pictures[0]], labels, strict=True)):
        dataset = pydicom.dcmread(write_dicom_series(picture, tmp_path / str(number), label)[0])
        uids.add(dataset.SeriesInstanceUID)
        studies.add(dataset.StudyInstanceUID)
    assert len(uids) == len(pictures) + 1
    assert len(studies) == 2, "one study for each of the two patients"


def test_an_archive_holds_all_regions_and_never_the_query_patient(an_archive: list[ArchivedSeries]) -> None:
    assert {series.field_of_view for series in an_archive} >= {"head", "neck", "chest", "abdomen", "pelvis"}
    query = make_query(seed=3, spacing_mm=COARSE)
    assert query.scan.patient not in [series.patient for series in an_archive]
    assert query.scan.patient not in [archive_patient(3, number) for number in range(1, 999)]


def test_writing_an_archive_tells_its_progress_and_can_be_stopped(tmp_path: Path) -> None:
    steps: list[Progress] = []

    def stop_after_one(step: Progress) -> None:
        steps.append(step)
        if step.done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_archive(tmp_path, n_patients=3, fields_of_view=("head",), spacing_mm=(6.0, 20.0), progress=stop_after_one)
    assert (steps[0].done, steps[0].total) == (0, 3)
    assert [folder.name for folder in tmp_path.iterdir()] == ["PHANTOM-0001"]


@pytest.mark.parametrize("count", [0, 999])
def test_an_impossible_number_of_patients_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(VolumeRetrievalError, match="1 to 998"):
        write_archive(tmp_path, n_patients=count)


def test_phantoms_need_numpy_and_pydicom_only() -> None:
    """Inside Slicer nothing else may be asked for; imported in a fresh interpreter that refuses the rest."""
    code = (
        "import sys\n"
        "for name in ('scipy', 'SimpleITK', 'PIL', 'torch', 'monai', 'faiss', 'highdicom', 'matplotlib', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from VolumeRetrievalEngine.phantoms import Patient, scan\n"
        "print(scan(Patient.random(0), 'head', spacing_mm=(8.0, 20.0)).voxels.ndim)\n"
    )
    package = Path(__file__).resolve().parents[3] / "VolumeRetrieval"
    done = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3", done.stderr
