"""An indexing run: what reaches the store, what is reported, and what is not done twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import write_image
from engine.commands import blob_volume, run, write_blobs
from engine.dicom_files import stored_values, write_series
from engine.store_samples import new_volume
from VolumeRetrievalEngine.encoders.descriptor import Descriptor
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.indexing import run as indexing
from VolumeRetrievalEngine.indexing.embedding import InThisProcess
from VolumeRetrievalEngine.indexing.run import IndexingReport, find_gone, index_volumes
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.reading import MetadataTable, Root, Roots, ScanCache, discover
from VolumeRetrievalEngine.reading.image_files.image_file import ImageFileSource
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.mapping import MAPPED

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])


class FakeEncoder:
    """The descriptor, whose answers can be spoilt."""

    name, weights, device, precision = "descriptor", "", "cpu", "float32"

    def __init__(self, spoil: Callable[[int, np.ndarray], np.ndarray] = lambda _, rows: rows):
        self._real = Descriptor()
        self.input_size, self.dimension = self._real.input_size, self._real.dimension
        self._spoil = spoil
        self.calls = 0

    def embed(self, slices: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self._spoil(self.calls, self._real.embed(slices))


@dataclass
class Archive:
    """A folder, its store, and runs over the two."""

    folder: Path
    store: Path
    tokens: PatientTokens

    def run(self, encoder: FakeEncoder | None = None, progress=None, **options) -> IndexingReport:
        encoder = encoder or FakeEncoder()
        roots = Roots([Root("archive", self.folder)])
        with VolumeStore.create(self.store, recipe_for(encoder)) as store:
            found = discover([self.folder], root=roots, tokens=self.tokens, **options)
            return index_volumes(found, store, InThisProcess(encoder), roots, progress=progress)

    def records(self) -> dict[str, object]:
        with VolumeStore.open(self.store) as store:
            assert store.verify() == []
            return {Path(record.label).name: record for record in store.listing()}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "archive").mkdir()
    return Archive(tmp_path / "archive", tmp_path / "store", PatientTokens.ephemeral())


# Encoders that fail


def raise_an_error(rows: np.ndarray) -> np.ndarray:
    raise RuntimeError("device lost")


SPOILT = {
    "NaN or infinite": lambda rows: np.where(rows == rows.max(), np.nan, rows),
    "expected (8, ": lambda rows: rows[:-1],
    "returned an array (8,)": lambda rows: rows[:, 0],
    "row 0 has length 2": lambda rows: 2 * rows,
    "device lost": raise_an_error,
}


@pytest.mark.parametrize("reason", SPOILT)
def test_what_an_encoder_must_not_return_fails_its_volume_and_no_other(archive: Archive, reason: str) -> None:
    write_blobs(archive.folder, 3)
    report = archive.run(FakeEncoder(lambda call, rows: SPOILT[reason](rows) if call == 2 else rows))
    (failed,) = report.failed
    assert failed.path.name == "volume-001.nii"
    assert reason in failed.reason
    assert sorted(archive.records()) == ["volume-000.nii", "volume-002.nii"]
    assert (len(report.added), report.slices) == (2, 16)

    again = archive.run()
    assert (len(again.added), again.unchanged, again.failed) == (1, 2, [])


def test_a_dimension_that_is_not_the_stores_is_refused(archive: Archive) -> None:
    write_blobs(archive.folder, 1)
    archive.run()
    write_blobs(archive.folder, 2)
    narrow = FakeEncoder(lambda _, rows: rows[:, :7] / np.linalg.norm(rows[:, :7], axis=1, keepdims=True))
    narrow.dimension = 7
    report = archive.run(narrow)
    assert "embeddings of 7 numbers" in report.failed[0].reason
    assert len(archive.records()) == 1


def test_a_failed_replacement_leaves_what_was_there(archive: Archive) -> None:
    (path,) = write_blobs(archive.folder, 1)
    archive.run()
    before = archive.records()[path.name].fingerprint
    write_image(path, blob_volume(77), AFFINE)
    report = archive.run(FakeEncoder(lambda _, rows: rows * np.nan))
    assert len(report.failed) == 1
    assert archive.records()[path.name].fingerprint == before


# Stopping


def test_cancelling_keeps_what_is_finished_and_the_next_run_goes_on(archive: Archive) -> None:
    write_blobs(archive.folder, 6)

    def after_three(step: Progress) -> None:
        if step.done == 3:
            raise Cancelled

    report = archive.run(progress=after_three)
    assert report.cancelled
    assert len(archive.records()) == len(report.added) == 3
    rest = archive.run()
    assert (len(rest.added), rest.unchanged, rest.cancelled) == (3, 3, False)


def test_progress_goes_from_nothing_to_everything(archive: Archive) -> None:
    write_blobs(archive.folder, 4)
    steps: list[Progress] = []
    archive.run(progress=steps.append)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, 4, 4)
    assert steps[-1].rate > 0
    assert steps[-1].remaining == 0.0
    assert {Path(step.item).name for step in steps} == {f"volume-{number:03d}.nii" for number in range(4)}


# Not doing twice


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the image files whose voxels are read."""
    names: list[str] = []
    read = ImageFileSource.read

    def counted(self: ImageFileSource):
        names.append(self.path.name)
        return read(self)

    monkeypatch.setattr(ImageFileSource, "read", counted)
    return names


def test_nothing_is_read_or_embedded_again(archive: Archive, reads: list[str]) -> None:
    write_blobs(archive.folder, 3)
    archive.run()
    reads.clear()
    encoder = FakeEncoder()
    report = archive.run(encoder)
    assert (report.unchanged, reads, encoder.calls) == (3, [], 0)


def test_what_turned_out_to_be_no_volume_is_reported_again_without_being_read(
    archive: Archive, reads: list[str]
) -> None:
    write_blobs(archive.folder, 1)
    flat = write_image(archive.folder / "flat.nii", np.zeros((5, 16, 16), np.int16), AFFINE)
    first = archive.run()
    reads.clear()
    second = archive.run()
    assert [one.reason for one in first.skipped] == [one.reason for one in second.skipped]
    assert "no contrast" in second.skipped[0].reason
    assert reads == []

    write_image(flat, blob_volume(5), AFFINE)
    assert len(archive.run().added) == 1
    assert reads == ["flat.nii"]


def test_what_was_mapped_and_is_no_volume_is_removed(archive: Archive) -> None:
    write_image(archive.folder / "flat.nii", blob_volume(5), AFFINE)
    archive.run()
    write_image(archive.folder / "flat.nii", np.zeros((5, 16, 16), np.int16), AFFINE)
    with VolumeStore.open(archive.store, writable=True) as store:
        (record,) = store.listing()
        store.add(
            replace(
                new_volume(1, dimension=Descriptor().dimension),
                identity=record.identity,
                files=record.files,
                precision=MAPPED,
            )
        )
    assert len(archive.run().skipped) == 1
    assert archive.records() == {}


def test_a_file_that_failed_is_tried_again(archive: Archive, reads: list[str]) -> None:
    write_image(archive.folder / "nan.nii", np.full((5, 16, 16), np.nan, np.float32), AFFINE)
    assert len(archive.run().failed) == len(archive.run().failed) == 1
    assert reads == ["nan.nii"] * 2


def test_what_is_remembered_of_no_volumes_may_be_lost(archive: Archive) -> None:
    write_image(archive.folder / "flat.nii", np.zeros((5, 16, 16), np.int16), AFFINE)
    archive.run()
    for text in ("no JSON", "[1]", '{"version": "0", "known": {"a": ["b", "c"]}}', '{"known": 7}'):
        with VolumeStore.open(archive.store, writable=True) as store:
            store.set_meta("no_volumes", text)
        assert len(archive.run().skipped) == 1


def test_the_scan_cache_spares_the_headers_of_what_is_no_volume(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from VolumeRetrievalEngine.reading import discovery

    write_image(archive.folder / "thin.nii", np.zeros((2, 16, 16), np.int16), AFFINE)
    write_blobs(archive.folder, 1)
    opened: list[str] = []
    read = discovery.read_image_facts
    monkeypatch.setattr(discovery, "read_image_facts", lambda stamp: opened.append(stamp.path) or read(stamp))
    for expected in (2, 0):
        opened.clear()
        with ScanCache(tmp_path / "scan-cache.sqlite") as cache:
            report = archive.run(scan_cache=cache)
        assert len(opened) == expected
        assert "fewer than 3 slices" in report.skipped[0].reason


# What is known beside the voxels


def test_attributes_that_come_later_are_taken_over_without_embedding_again(archive: Archive, tmp_path: Path) -> None:
    (path,) = write_blobs(archive.folder, 1)
    archive.run(modality="MR")
    table = tmp_path / "table.csv"
    table.write_text(f"path,body_part,patient\n{path},knee,seven\n")
    encoder = FakeEncoder()
    report = archive.run(encoder, modality="MR", metadata=MetadataTable.from_csv(table))
    record = archive.records()[path.name]
    assert (len(report.updated), report.unchanged, encoder.calls) == (1, 0, 0)
    assert record.attributes.body_part == "KNEE"
    assert record.patient_token

    # A later run without the table forgets nothing of it.
    assert archive.run(modality="MR").unchanged == 1
    assert archive.records()[path.name].attributes.body_part == "KNEE"
    assert archive.records()[path.name].patient_token == record.patient_token


def test_an_inferred_modality_is_kept_and_a_corrected_one_embeds_again(archive: Archive) -> None:
    (path,) = write_blobs(archive.folder, 1)
    archive.run()
    inferred = archive.records()[path.name].attributes.modality
    assert archive.run().unchanged == 1
    assert archive.records()[path.name].attributes.modality == inferred

    encoder = FakeEncoder()
    report = archive.run(encoder, modality="CT")
    assert (len(report.replaced), encoder.calls) == (1, 1)
    assert archive.records()[path.name].attributes.modality == "CT"
    assert archive.run().unchanged == 1


def test_a_moved_volume_keeps_its_key_and_embeddings(archive: Archive) -> None:
    (path,) = write_blobs(archive.folder, 1)
    archive.run()
    before = archive.records()[path.name]
    path.rename(archive.folder / "renamed.nii")
    report = archive.run()
    assert (len(report.moved), report.slices) == (1, 0)
    assert archive.records()["renamed.nii"].key == before.key


def test_a_copy_is_a_volume_of_its_own(archive: Archive) -> None:
    (path,) = write_blobs(archive.folder, 1)
    archive.run()
    shutil.copy2(path, archive.folder / "copy.nii")
    assert len(archive.run().added) == 1
    assert len(archive.records()) == 2


def test_slices_that_came_later_replace_the_volume(archive: Archive) -> None:
    paths = write_series(archive.folder / "series", stored_values((8, 12, 10)))
    held_back = paths[6].read_bytes(), paths[7].read_bytes()
    for path in paths[6:]:
        path.unlink()
    archive.run()
    for path, content in zip(paths[6:], held_back, strict=True):
        path.write_bytes(content)
    report = archive.run()
    assert (len(report.replaced), len(report.added)) == (1, 0)
    assert [record.n_slices for record in archive.records().values()] == [8]


def test_a_series_that_is_divided_anew_does_not_keep_its_old_volumes(archive: Archive) -> None:
    """Two images arrive today, told apart by InstanceNumber; tomorrow a third one with the numbers of the second."""
    write_series(archive.folder / "other", stored_values((5, 12, 10), seed=9), series="1.2.826.0.1.2")
    for number, first in enumerate((1, 101, 101)):
        voxels = stored_values((5, 12, 10), seed=number)
        write_series(archive.folder / "series" / f"{number}", voxels, first=first, PatientComments=str(number))
        if number == 1:
            before = archive.run()
    report = archive.run()
    assert len(before.added) == 3
    (kept,) = archive.records().values()
    assert sorted([*report.superseded, kept.volume_id]) == sorted(before.added)
    reasons = {one.reason.partition(",")[0] for one in report.failed}
    assert reasons == {"shares its place with other slices of the series"}
    assert archive.run().unchanged == 1


# What is gone


def test_find_gone_is_careful_with_what_it_cannot_see(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_blobs(archive.folder, 3)
    archive.run()
    roots = Roots([Root("archive", archive.folder)])

    def gone(*within: Path) -> int:
        with VolumeStore.open(archive.store) as store:
            return len(find_gone(store, roots, within))

    assert gone(archive.folder) == 0
    paths[0].unlink()
    assert gone(archive.folder) == 1
    assert gone(archive.folder / "elsewhere") == 0

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert gone(archive.folder) == 0
    for path in paths[1:]:
        path.unlink()
    assert gone(archive.folder) == 0  # an empty folder: a disk that is not mounted, perhaps
    (archive.folder / "something").touch()
    assert gone(archive.folder) == 3


def test_a_run_that_found_nothing_wrong_is_not_a_failed_one() -> None:
    assert IndexingReport().read_anything
    assert IndexingReport(unchanged=1, failed=[indexing.Skipped(Path("a"), "b", failed=True)]).read_anything
    assert IndexingReport(updated=["a"], failed=[indexing.Skipped(Path("a"), "b", failed=True)]).read_anything
    assert not IndexingReport(failed=[indexing.Skipped(Path("a"), "b", failed=True)]).read_anything


def test_the_remaining_time_goes_by_slices_not_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a compressed file few bytes are many slices: by bytes 3 minutes were left of 12."""
    weights: list[tuple[str, float]] = []

    class Noted(indexing.ProgressClock):
        def advance(self, weight: float, item: str = "", series: str = "") -> None:
            weights.append((Path(item).name, weight))
            super().advance(weight, item, series)

    monkeypatch.setattr(indexing, "ProgressClock", Noted)
    for name, n_slices in (("few.nii", 6), ("many.nii.gz", 40)):
        write_image(tmp_path / "archive" / name, stored_values((n_slices, 8, 8)), np.eye(4))
    assert run("index", tmp_path / "archive", "--store", tmp_path / "store").code == 0
    assert weights == [("few.nii", 6), ("many.nii.gz", 40)]
