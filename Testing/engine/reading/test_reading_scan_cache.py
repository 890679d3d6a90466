"""Remembering headers: the same results, unopened files, no patient data, and no harm from a damaged cache."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
import SimpleITK as sitk
from engine.dicom_files import (
    BIRTH_DATE,
    NAME,
    PATIENT_ID,
    item,
    multiframe_data_set,
    slice_data_set,
    stored_values,
    write,
)
from engine.dicom_files import write_series as write_dicom_series
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.reading import Discovery, Roots, ScanCache, discover

TOKENS = PatientTokens(b"k" * 32)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A series, an enhanced instance of two echoes, a NIfTI file, a truncated slice and a text file."""
    folder = tmp_path / "archive"
    write_dicom_series(folder / "series", stored_values())
    echoes = multiframe_data_set(
        stored_values((6, 8, 8)),
        series="1.5",
        positions=[(0, 0, k // 2) for k in range(6)],
        per_frame=lambda k: {"MREcho": item(EffectiveEchoTime=10.0 + k % 2)},
    )
    write(folder / "echoes", echoes)
    sitk.WriteImage(sitk.GetImageFromArray(stored_values()), str(folder / "Bild ä.nii.gz"))
    damaged = write(folder / "damaged.dcm", slice_data_set(stored_values()[0], series="1.6"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    (folder / "notes.txt").write_text("x")
    return folder


def scan(folder: Path, cache: ScanCache | None, tokens: PatientTokens = TOKENS) -> Discovery:
    return discover([folder], root=Roots(), tokens=tokens, scan_cache=cache)


def summary(found: Discovery) -> list:
    sources = [(one.identity, one.files, one.attributes, one.notes, one.size_bytes) for one in found.sources]
    return sources + found.skipped


def test_a_second_scan_gives_the_same_without_opening_any_file(archive: Path, tmp_path: Path, monkeypatch):
    plain = summary(scan(archive, None))
    with ScanCache(tmp_path / "cache") as cache:
        assert summary(scan(archive, cache)) == plain
    opened: list[Path] = []
    really_open = Path.open

    def noted_open(path: Path, *rest, **named):
        opened.append(path)
        return really_open(path, *rest, **named)

    monkeypatch.setattr(Path, "open", noted_open)
    with ScanCache(tmp_path / "cache") as cache:
        again = scan(archive, cache)
        assert cache.hits == 9
    assert {path.suffix for path in opened} <= {".json"}  # whether there is a sidecar is looked up every time
    assert summary(again) == plain
    for source in again.sources:
        source.read()


def test_new_changed_and_removed_files_are_noticed(archive: Path, tmp_path: Path):
    with ScanCache(tmp_path / "cache") as cache:
        scan(archive, cache)
        (archive / "series" / "slice001.dcm").unlink()
        write(archive / "damaged.dcm", slice_data_set(stored_values()[0], (-20, -30, 90.0), instance=40))
        state = (archive / "notes.txt").stat()
        os.utime(archive / "Bild ä.nii.gz", ns=(state.st_atime_ns, state.st_mtime_ns - 10**10))
        assert summary(scan(archive, cache)) == summary(scan(archive, None))
    with sqlite3.connect(tmp_path / "cache") as connection:
        paths = {row[0] for row in connection.execute("SELECT path FROM headers")}
    connection.close()
    assert paths == {str(path) for path in archive.rglob("*") if path.is_file()}


def test_what_was_made_with_another_secret_is_forgotten(archive: Path, tmp_path: Path):
    other = PatientTokens(b"x" * 32)
    with ScanCache(tmp_path / "cache") as cache:
        scan(archive, cache)
        found = scan(archive, cache, other)
        assert cache.hits == 0
    assert summary(found) == summary(scan(archive, None, other))


def test_it_holds_no_patient_data(archive: Path, tmp_path: Path):
    with ScanCache(tmp_path / "cache") as cache:
        found = scan(archive, cache)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("cache*"))
    for secret in (NAME, NAME.partition("^")[0], PATIENT_ID, BIRTH_DATE, "1.2.826.0.1.9"):
        assert secret.encode() not in content
    assert found.sources[-1].identity.patient_token.encode() in content


@pytest.mark.parametrize("damage", ["text", "half", "facts", "empty"])
def test_a_damaged_cache_starts_anew(archive: Path, tmp_path: Path, damage: str):
    path = tmp_path / "cache"
    with ScanCache(path) as cache:
        plain = summary(scan(archive, cache))
    if damage == "text":
        path.write_text("this is no database" * 1000)
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "facts":
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE headers SET facts = '{\"series\": 3}'")
        connection.close()
    else:
        path.write_bytes(b"")
    with ScanCache(path) as cache:
        assert summary(scan(archive, cache)) == plain
        assert summary(scan(archive, cache)) == plain
        assert cache.hits == 9


def test_a_cache_that_cannot_be_written_only_costs_time(archive: Path, tmp_path: Path):
    (tmp_path / "no folder").write_text("a file")
    with ScanCache(tmp_path / "no folder" / "cache") as cache:
        assert summary(scan(archive, cache)) == summary(scan(archive, None))


def test_a_cache_that_another_scan_holds_is_left_as_it_is(archive: Path, tmp_path: Path):
    with ScanCache(tmp_path / "cache") as cache:
        scan(archive, cache)
    holder = sqlite3.connect(tmp_path / "cache", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with ScanCache(tmp_path / "cache") as cache:
        assert summary(scan(archive, cache)) == summary(scan(archive, None))
    holder.execute("COMMIT")
    assert holder.execute("SELECT count(*) FROM headers").fetchone() == (9,)
    holder.close()
