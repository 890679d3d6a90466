"""What is found below a folder, what is left out and why, and under which paths."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine.dicom_files import multiframe_data_set, slice_data_set, stored_values, write, write_series
from pydicom.uid import UID, SecondaryCaptureImageStorage
from VolumeRetrievalEngine.errors import NotAVolumeError, StoreError, UnreadableFileError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.reading import Discovery, Root, Roots, discover, read_volume
from VolumeRetrievalEngine.volume import SourceFiles, file_volume_id

TOKENS = PatientTokens(b"k" * 32)


def scan(*paths: Path, **options) -> Discovery:
    return discover(paths, **{"root": Roots(), "tokens": TOKENS, **options})


def write_nifti(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(stored_values((5, 8, 8), seed)), str(path))
    return path


def reasons(found: Discovery) -> dict[str, tuple[bool, str]]:
    return {one.path.name: (one.failed, one.reason) for one in found.skipped}


def test_a_mixed_folder_gives_every_volume_once_in_the_order_of_paths(tmp_path: Path):
    write_series(tmp_path / "b series", stored_values(), names="IM{:04d}".format)
    write_nifti(tmp_path / "c" / "x.nii.gz")
    write_nifti(tmp_path / "a" / "y.nrrd")
    write(tmp_path / "d" / "frames", multiframe_data_set(stored_values(), series="1.2.3"))
    (tmp_path / "notes.txt").write_text("nothing")
    found = scan(tmp_path, tmp_path / "c", tmp_path / "c" / "x.nii.gz")
    assert [source.path.relative_to(tmp_path).as_posix() for source in found.sources] == [
        "a/y.nrrd",
        "b series",
        "c/x.nii.gz",
        "d/frames",
    ]
    assert [source.n_slices for source in found.sources] == [5, 5, 5, 5]
    assert [source.read().voxels.shape[0] for source in found.sources] == [5, 5, 5, 5]
    assert reasons(found) == {"notes.txt": (False, "not an image")}
    assert found.sources[1].size_bytes == sum(path.stat().st_size for path in (tmp_path / "b series").iterdir())


def test_what_holds_no_volume_is_left_out_with_its_reason(tmp_path: Path):
    pixels = stored_values()[0]
    classes = {
        "rtstruct": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", "a radiotherapy object (RT)"),
        "rtdose": ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", "a radiotherapy object (RT)"),
        "rtplan": ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", "a radiotherapy object (RT)"),
        "sr": ("1.2.840.10008.5.1.4.1.1.88.33", "SR", "a structured report (SR)"),
        "seg": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", "a segmentation (SEG)"),
        "pr": ("1.2.840.10008.5.1.4.1.1.11.1", "PR", "a presentation state (PR)"),
        "ko": ("1.2.840.10008.5.1.4.1.1.88.59", "KO", "a structured report (SR)"),
        "pdf": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", "an encapsulated document"),
        "ecg": ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", "a waveform"),
    }
    for name, (sop_class, modality, _) in classes.items():
        for number in range(3):
            made = slice_data_set(pixels, (0, 0, number), series=f"1.{number}", SOPClassUID=UID(sop_class))
            made.Modality = modality
            if name != "rtdose":
                del made.PixelData, made.Rows, made.Columns
            write(tmp_path / name, made)
    localizer = ("ORIGINAL", "PRIMARY", "LOCALIZER")
    write_series(tmp_path, stored_values((1, 8, 8)), names="localizer".format, series="1.77", image_type=localizer)
    color = slice_data_set(pixels, SOPClassUID=SecondaryCaptureImageStorage, SamplesPerPixel=3)
    color.PhotometricInterpretation, color.PlanarConfiguration = "RGB", 0
    color.PixelData = np.zeros((*pixels.shape, 3), np.int16).tobytes()
    write(tmp_path / "color", color)
    plain = slice_data_set(
        pixels, SOPClassUID=SecondaryCaptureImageStorage, ImagePositionPatient=None, ImageOrientationPatient=None
    )
    write(tmp_path / "capture", plain)
    for name in ("table.csv", "about.json", "x.xml", "x.raw", "photo.png", ".DS_Store", "._scan.nii.gz", "empty"):
        (tmp_path / name).write_bytes(b"" if name == "empty" else b"whatever this is, it is no image" * 10)
    found = scan(tmp_path)
    assert found.sources == [] and found.failures == []
    said = {name: reason for name, (_, reason) in reasons(found).items()}
    assert {name: said[name] for name in classes} == {name: reason for name, (_, _, reason) in classes.items()}
    assert said["localizer"] == "a localizer"
    assert said["color"] == "a color image (secondary capture), no volume of intensities"
    assert said["capture"] == "an image without position in space"
    assert found.summary()["not an image"] == 8


def test_damaged_dicom_files_are_failures_that_name_file_and_reason(tmp_path: Path):
    paths = write_series(tmp_path, stored_values((10, 12, 10)), gap=2.0)
    whole = paths[0].read_bytes()
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "no.dcm").write_bytes(b"this is no DICOM file at all" * 20)
    (tmp_path / "preamble only").write_bytes(whole[:132])
    paths[2].write_bytes(paths[2].read_bytes()[:-7])
    paths[5].write_bytes(paths[5].read_bytes()[:600])
    paths[7].write_bytes(paths[7].read_bytes()[: paths[7].stat().st_size // 2])
    (tmp_path / "no series.dcm").write_bytes(whole)
    write(tmp_path / "no series.dcm", slice_data_set(stored_values()[0], SeriesInstanceUID=None))
    write(tmp_path / "nowhere.dcm", slice_data_set(stored_values()[0], ImagePositionPatient=None))
    write(tmp_path / "spacing.dcm", slice_data_set(stored_values()[0], PixelSpacing=None))
    write(tmp_path / "crooked.dcm", slice_data_set(stored_values()[0], orientation=(1, 0, 0, 0.5, 0.5, 0)))
    found = scan(tmp_path)
    said = reasons(found)
    assert all(failed for failed, _ in said.values())
    assert said["empty.dcm"][1] == "an empty file; copy or export it again"
    assert said["no.dcm"][1] == "not DICOM, though its name says so: damaged or truncated; copy or export it again"
    assert said[paths[2].name][1] == "truncated: 7 bytes of pixel data are missing; copy or export it again"
    assert "truncated" in said[paths[5].name][1]
    assert "truncated" in said[paths[7].name][1]
    assert "truncated" in said["preamble only"][1]
    assert said["no series.dcm"][1].startswith("SeriesInstanceUID or SOPInstanceUID is missing")
    for name in ("nowhere.dcm", "spacing.dcm", "crooked.dcm"):
        assert said[name][1].startswith("missing geometry: ImagePositionPatient")
    # The rest of the series is a volume that says what it lacks.
    (source,) = found.sources
    assert source.n_slices == 7
    assert source.notes == ("3 slices missing (slices lie 2 mm apart)",)


def test_random_bytes_in_a_header_never_stop_a_scan(tmp_path: Path):
    path = write(tmp_path / "x.dcm", multiframe_data_set(stored_values((3, 6, 6))))
    whole = path.read_bytes()
    generator = np.random.default_rng(5)
    for number in range(150):
        damaged = bytearray(whole)
        for place in generator.integers(132, len(whole) - 300, 4):
            damaged[place] = generator.integers(0, 256)
        (tmp_path / f"d{number}.dcm").write_bytes(damaged)
    found = scan(tmp_path)
    assert len(found.sources) + len(found.skipped) > 0
    for source in found.sources:
        try:
            source.read()
        except (UnreadableFileError, NotAVolumeError):
            continue


def test_patterns_leave_out_files_and_folders(tmp_path: Path):
    write_nifti(tmp_path / "p1" / "volume.nii.gz")
    write_nifti(tmp_path / "p1" / "labels" / "liver.nii.gz")
    write_nifti(tmp_path / "p1" / "labels" / "deep" / "spleen.nii.gz")
    write_nifti(tmp_path / "p2" / "volume_seg.nii.gz")

    def kept(*patterns: str) -> list[str]:
        found = scan(tmp_path, exclude=patterns)
        return [source.path.relative_to(tmp_path).as_posix() for source in found.sources]

    assert kept("*/labels/*") == ["p1/volume.nii.gz", "p2/volume_seg.nii.gz"]
    assert kept("*_seg.nii.gz", "p1/labels/deep/*") == ["p1/labels/liver.nii.gz", "p1/volume.nii.gz"]
    assert kept(f"{tmp_path.as_posix()}/p1/*") == ["p2/volume_seg.nii.gz"]
    assert kept("p1") == ["p2/volume_seg.nii.gz"]


def test_links_that_lead_back_up_are_followed_once(tmp_path: Path):
    write_nifti(tmp_path / "a" / "x.nii")
    (tmp_path / "a" / "back").symlink_to(tmp_path, target_is_directory=True)
    assert len(scan(tmp_path).sources) == 1


def test_a_folder_that_is_linked_to_is_searched(tmp_path: Path):
    write_nifti(tmp_path / "elsewhere" / "x.nii")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [source.files.paths for source in scan(tmp_path / "archive").sources] == [("link/x.nii",)]


def test_what_is_not_there_is_a_failure_and_the_rest_is_found(tmp_path: Path):
    write_nifti(tmp_path / "x.nii")
    (tmp_path / "broken link").symlink_to(tmp_path / "gone")
    found = scan(tmp_path, tmp_path / "no such folder")
    assert len(found.sources) == 1
    assert {name: failed for name, (failed, _) in reasons(found).items()} == {
        "broken link": True,
        "no such folder": True,
    }


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions hold back")
def test_files_that_may_not_be_read_are_failures(tmp_path: Path):
    path = write_nifti(tmp_path / "x.nii")
    path.chmod(0)
    assert reasons(scan(tmp_path))["x.nii"][0]


def test_progress_is_told_and_can_stop_the_scan(tmp_path: Path):
    write_series(tmp_path, stored_values((120, 4, 4)))
    steps: list[Progress] = []
    scan(tmp_path, progress=steps.append)
    assert {step.stage for step in steps} == {"scan"}
    assert steps[-1].done == steps[-1].total == 120
    counted = [step.done for step in steps if step.total]
    assert counted == [0, 50, 100, 120]

    def stop(step: Progress) -> None:
        if step.total and step.done >= 50:
            raise Cancelled

    with pytest.raises(Cancelled):
        scan(tmp_path, progress=stop)


class TestReadVolume:
    def test_one_slice_stands_for_its_series_and_no_other(self, tmp_path: Path):
        paths = write_series(tmp_path, stored_values())
        write_series(tmp_path, stored_values(seed=4), series="1.5", names="other{}.dcm".format)
        np.testing.assert_array_equal(read_volume(paths[2]).voxels, stored_values())

    def test_several_volumes_are_listed_and_one_can_be_chosen(self, tmp_path: Path):
        write_nifti(tmp_path / "a.nii", 1)
        write_nifti(tmp_path / "b.nii", 2)
        with pytest.raises(NotAVolumeError, match=r"it holds 2 volumes:\n  0: .*a\.nii, 5 slices") as caught:
            read_volume(tmp_path)
        assert "Choose one by its number (--volume)" in str(caught.value)
        np.testing.assert_array_equal(read_volume(tmp_path, volume=1).voxels, stored_values((5, 8, 8), 2))
        with pytest.raises(NotAVolumeError, match="no volume number 2"):
            read_volume(tmp_path, volume=2)

    def test_a_folder_without_volumes_says_what_it_holds(self, tmp_path: Path):
        (tmp_path / "a.txt").write_text("x")
        (tmp_path / "b.txt").write_text("x")
        with pytest.raises(NotAVolumeError, match=r"holds no volume.*2 x not an image"):
            read_volume(tmp_path)

    def test_a_missing_file_is_unreadable(self, tmp_path: Path):
        with pytest.raises(UnreadableFileError, match=r"gone\.nii: there is no such file"):
            read_volume(tmp_path / "gone.nii")
        with pytest.raises(UnreadableFileError, match="there is no such file"):
            read_volume(tmp_path / "gone.dcm")

    def test_an_empty_list_of_files_is_refused(self):
        with pytest.raises(NotAVolumeError, match="expected a file, a folder or the files of a series"):
            read_volume([])

    def test_a_localizer_says_that_it_is_one(self, tmp_path: Path):
        image_type = ("ORIGINAL", "PRIMARY", "LOCALIZER")
        paths = write_series(tmp_path, stored_values(), image_type=image_type)
        with pytest.raises(NotAVolumeError, match="a localizer"):
            read_volume(paths[0])


class TestRoots:
    def test_paths_are_relative_to_the_deepest_root_that_holds_them(self, tmp_path: Path):
        (tmp_path / "archive" / "inner" / "p 1").mkdir(parents=True)
        roots = Roots()
        assert roots.add(tmp_path / "archive").name == "archive"
        assert roots.add(tmp_path / "archive" / "inner" / "p 1").name == "archive"
        assert roots.resolve(tmp_path / "archive" / "inner" / "x.nii") == ("archive", "inner/x.nii")
        files = roots.source_files([tmp_path / "archive" / "p" / "ä.dcm"])
        assert files == SourceFiles("archive", ("p/ä.dcm",))
        assert roots.absolute(files) == [tmp_path / "archive" / "p" / "ä.dcm"]
        with pytest.raises(StoreError, match="lies in none of the known roots"):
            roots.resolve(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="root 'other' is not known"):
            roots.absolute(SourceFiles("other", ("x",)))

    def test_one_name_is_one_folder_unless_the_archive_has_moved(self, tmp_path: Path):
        first, second = tmp_path / "a" / "data", tmp_path / "b" / "data"
        first.mkdir(parents=True)
        second.mkdir(parents=True)
        roots = Roots()
        assert [roots.add(first).name, roots.add(second).name] == ["data", "data-2"]
        third = tmp_path / "c" / "data"
        third.parent.mkdir()
        first.rename(third)
        assert roots.add(third).name == "data"
        assert roots.absolute(SourceFiles("data", ("x.nii",))) == [third / "x.nii"]

    def test_roots_survive_being_written_down(self, tmp_path: Path):
        roots = Roots([Root("Köpfe", tmp_path / "Köpfe"), Root("b", tmp_path)])
        again = Roots.from_json(roots.to_json())
        assert list(again) == list(roots)
        assert list(Roots.from_json("")) == []
        for wrong in ("[1]", "{", '{"a": 3}'):
            with pytest.raises(StoreError, match="not a table of roots"):
                Roots.from_json(wrong)

    def test_a_moved_archive_gives_the_same_identities(self, tmp_path: Path):
        write_series(tmp_path / "old" / "data" / "s", stored_values())
        write_nifti(tmp_path / "old" / "data" / "x.nii.gz")
        roots = Roots()
        before = [source.identity for source in scan(tmp_path / "old" / "data", root=roots).sources]
        (tmp_path / "old").rename(tmp_path / "new")
        after = scan(tmp_path / "new" / "data", root=roots).sources
        assert [source.identity for source in after] == before
        assert roots.absolute(after[1].files) == [tmp_path / "new" / "data" / "x.nii.gz"]

    def test_a_file_that_moves_within_its_root_keeps_its_fingerprint_only(self, tmp_path: Path):
        path = write_nifti(tmp_path / "a" / "x.nii.gz")
        (before,) = scan(tmp_path).sources
        path.rename(tmp_path / "x.nii.gz")
        (after,) = scan(tmp_path).sources
        assert after.identity.fingerprint == before.identity.fingerprint
        assert after.identity.volume_id == file_volume_id(tmp_path.name, "x.nii.gz") != before.identity.volume_id

    def test_a_series_in_two_roots_is_one_volume_whose_files_are_found(self, tmp_path: Path):
        paths = write_series(tmp_path / "disk1", stored_values((6, 12, 10)))
        (tmp_path / "disk2").mkdir()
        for path in paths[3:]:
            path.rename(tmp_path / "disk2" / path.name)
        roots = Roots()
        (source,) = scan(tmp_path / "disk1", tmp_path / "disk2", root=roots).sources
        assert source.n_slices == 6
        assert [path.is_file() for path in roots.absolute(source.files)] == [True] * 6

    def test_a_plain_root_is_enough(self, tmp_path: Path):
        write_nifti(tmp_path / "x.nii")
        (source,) = scan(tmp_path, root=Root("mine", tmp_path)).sources
        assert source.files == SourceFiles("mine", ("x.nii",))
