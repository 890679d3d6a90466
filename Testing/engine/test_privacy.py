"""No patient's name, ID, birth date or number ends up in the store or in anything that is printed or logged."""

from __future__ import annotations

import base64
import contextlib
import logging
import shutil
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from engine.archives import write_image
from engine.commands import Finished, blob_volume, finish, run, start, write_blobs
from engine.dicom_files import (
    multiframe_data_set,
    slice_data_set,
    stored_values,
    write,
    write_series,
    write_without_preamble,
)
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.retriever import Retriever

#: What is planted in the attributes of every DICOM file. Each is found nowhere else.
PLANTED = {
    "PatientName": "Kirnberger^Ottilie",
    "PatientID": "PID-7731-Q",
    "PatientBirthDate": "19421130",
    "AccessionNumber": "ACC-90417",
    "ReferringPhysicianName": "Quellmalz^Theophil",
    "OtherPatientNames": "Zipperlein^Ottilie",
    "InstitutionName": "Klinik Mondschein",
    "PatientAddress": "Amselweg 17",
    "PatientComments": "speaks Sorbian only",
    "ProtocolName": "Protokoll Xaver",
    "ImageComments": "seen with Mr Vandersloot",
}

#: May be stored and shown to the user, who has the files; may never be logged.
DESCRIPTION = "wie besprochen mit Dr. Wunderlich"

#: Parts by which somebody could be found, whatever the whole was written as.
TELLING = ("Kirnberger", "Ottilie", "7731-Q", "19421130", "1942-11-30", "Quellmalz", "Zipperlein", "Mondschein")
TELLING += ("Amselweg", "Sorbian", "Xaver", "Vandersloot")


def plant(path: Path, **more: object) -> None:
    """Put what must not be seen into a DICOM file, and then some."""
    data_set = pydicom.dcmread(path)
    for keyword, value in {**PLANTED, "SeriesDescription": DESCRIPTION, **more}.items():
        setattr(data_set, keyword, value)
    data_set.save_as(path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and broken files, all with the planted attributes."""
    folder = tmp_path_factory.mktemp("private") / "archive"
    for number in range(2):
        series = f"1.2.826.0.1.{100 + number}"
        for path in write_series(folder / f"series {number}", stored_values((6, 12, 10), number), series=series):
            plant(path)
    for path in write_series(folder / "cut", stored_values((6, 12, 10), 3), series="1.2.826.0.1.103"):
        plant(path)
        path.write_bytes(path.read_bytes()[:-50])
    for path in write_series(folder / "undecodable", stored_values((6, 12, 10), 4), series="1.2.826.0.1.104"):
        plant(path)
        data_set = pydicom.dcmread(path)
        data_set.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        data_set.PixelData = pydicom.encaps.encapsulate([PLANTED["PatientName"].encode() * 9])
        data_set["PixelData"].VR = "OB"
        data_set.save_as(path)
    strange = {"PatientBirthDate": "30.11.1942 Kirnberger", "StudyDate": "Kirnberger^Ottilie"}
    with pydicom.config.disable_value_validation():
        for path in write_series(folder / "strange", stored_values((6, 12, 10), 5), series="1.2.826.0.1.105"):
            plant(path, **strange, SpecificCharacterSet="Kirnberger", PatientName="Ottilie" * 20)
        for place in ("ImagePositionPatient", "PixelSpacing", "InstanceNumber"):
            series = f"1.2.826.0.1.9{len(place)}"
            for path in write_series(folder / place, stored_values((6, 12, 10), 6), series=series):
                plant(path)
                spoil(path, place)
    frames = write(folder / "frames.dcm", multiframe_data_set(stored_values((6, 12, 10), 7), series="1.2.826.0.1.107"))
    plant(frames)
    bare = slice_data_set(stored_values((1, 12, 10), 8)[0], series="1.2.826.0.1.108", **PLANTED)
    write_without_preamble(folder / "bare", bare)
    write_image(folder / "image.nii", blob_volume(1), np.diag([2.0, 2.0, 4.0, 1.0]))
    (folder / "image.json").write_text(
        '{"Modality": "MR", "PatientName": "Kirnberger^Ottilie", "PatientBirthDate": "19421130", '
        '"AccessionNumber": "ACC-90417", "InstitutionName": "Klinik Mondschein"}'
    )
    return folder


def spoil(path: Path, keyword: str) -> None:
    """A name where a number should be, as a faulty anonymizer or export leaves it."""
    element = pydicom.dcmread(path)[keyword]
    value = element.value if isinstance(element.value, str) else "\\".join(map(str, np.atleast_1d(element.value)))
    written = value.encode() + b" " * (len(value) % 2)
    content = path.read_bytes()
    assert written in content, keyword
    path.write_bytes(content.replace(written, b"Kirnberger Ottilie Kirnberger Ottilie"[: len(written)], 1))


@pytest.fixture(scope="module")
def table(archive: Path) -> Path:
    """A metadata table names patients by whatever the user calls them."""
    path = archive.parent / "table.csv"
    path.write_text(f"path,patient,study\n{archive / 'image.nii'},Kirnberger Ottilie,ACC-90417\n")
    return path


@pytest.fixture(scope="module")
def indexed(archive: Path, table: Path) -> tuple[Path, Finished]:
    """The store, and what was printed while it was made, with --verbose."""
    store = archive.parent / "store"
    process = start("--verbose", "index", archive, "--store", store, "--metadata", table, "--full-speed")
    return store, finish(process)


def written_as(text: str) -> set[bytes]:
    """A text as it could be hidden in a file: in several encodings, base64 and hexadecimal."""
    plain = {text.encode(code) for code in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le")}
    return plain | {base64.b64encode(text.encode()).rstrip(b"=")[:-1], text.encode().hex().encode()}


def found_in(content: bytes) -> list[str]:
    texts = {*PLANTED.values(), *TELLING, *(part for name in PLANTED.values() for part in name.split("^"))}
    lower = content.lower()
    return [text for text in texts if any(form in content or form.lower() in lower for form in written_as(text))]


def unpacked(content: bytes) -> bytes:
    """What zlib streams in a file hold."""
    pieces, start_at = [], 0
    while (start_at := content.find(b"\x78", start_at)) >= 0:
        with contextlib.suppress(zlib.error):
            pieces.append(zlib.decompressobj().decompress(content[start_at:], 1 << 20))
        start_at += 1
    return b"\0".join(pieces)


def test_the_search_for_them_finds_them_where_they_are(archive: Path) -> None:
    (path, *_) = sorted((archive / "series 0").iterdir())
    assert set(found_in(path.read_bytes())) >= set(PLANTED.values())
    assert found_in("x KirnBerger".encode("utf-16-le"))
    assert found_in(unpacked(b"abc" + zlib.compress(b"Kirnberger" * 20)))


def test_the_run_had_what_it_takes_to_give_them_away(indexed: tuple[Path, Finished]) -> None:
    _, finished = indexed
    assert finished.code == 0
    assert finished.err.count("failed: ") > 6
    assert "DEBUG VolumeRetrievalEngine" in finished.err
    assert "4 added" in finished.out or "5 added" in finished.out or "6 added" in finished.out, finished.out


def test_nothing_of_them_is_in_any_file_of_the_store(indexed: tuple[Path, Finished]) -> None:
    store, _ = indexed
    files = [path for path in store.rglob("*") if path.is_file()]
    assert {"secret", "scan-cache.sqlite", "volumes.sqlite"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert found_in(content) == [], path.name
        assert found_in(unpacked(content)) == [], path.name


def test_nothing_of_them_is_printed_or_logged(indexed: tuple[Path, Finished]) -> None:
    _, finished = indexed
    assert found_in((finished.out + finished.err).encode()) == []


def test_descriptions_are_never_logged(indexed: tuple[Path, Finished]) -> None:
    store, finished = indexed
    assert "Wunderlich" not in finished.err + finished.out
    listing = finish(start("--verbose", "list", "--store", store, "--json"))
    assert "Wunderlich" in listing.out  # the user, who has the files, may see them
    assert "Wunderlich" not in listing.err


def test_nothing_of_them_is_in_what_the_other_commands_print(
    indexed: tuple[Path, Finished], archive: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(indexed[0], tmp_path / "store")
    report = tmp_path / "report.html"
    for words in (
        ["list", "--json"],
        ["info", archive / "series 0"],
        ["search", archive / "series 0", "--json", "--report", report],
        ["search", archive / "cut"],
        ["search", archive / "undecodable"],
        ["search", archive / "ImagePositionPatient"],
        ["search", archive / "series 1", "--exclude-same", "patient", "--exhaustive"],
        ["verify"],
        ["rebuild"],
        ["remove", archive / "series 0"],
    ):
        finished = run("--verbose", *words, "--store", store)
        assert found_in((finished.out + finished.err).encode()) == [], words
    assert found_in(report.read_bytes()) == []


def test_what_is_removed_leaves_no_trace_of_its_description(indexed: tuple[Path, Finished], tmp_path: Path) -> None:
    store = shutil.copytree(indexed[0], tmp_path / "store")
    (file,) = store.glob("*/volumes.sqlite")
    assert b"Wunderlich" in file.read_bytes()
    everything = [one["id"] for one in run("list", "--store", store, "--json").json]
    run("remove", *everything, "--store", store)
    for path in file.parent.iterdir():
        assert b"Wunderlich" not in path.read_bytes(), path.name


def test_exceptions_name_the_file_and_not_the_patient(
    archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    write_blobs(tmp_path / "other", 1)
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "other"])
    for name in ("cut", "undecodable", "ImagePositionPatient", "PixelSpacing", "bare"):
        with pytest.raises(VolumeRetrievalError) as raised:
            retriever.search(archive / name)
        assert name in str(raised.value)
        error: BaseException | None = raised.value
        while error is not None:  # what a traceback would show as its causes
            if isinstance(error, VolumeRetrievalError):
                assert found_in(str(error).encode()) == []
            error = error.__cause__
    assert found_in(caplog.text.encode()) == []


def test_the_same_patient_is_known_and_an_unknown_one_is_nobody(
    indexed: tuple[Path, Finished], archive: Path, tmp_path: Path
) -> None:
    store, _ = indexed
    query = ["search", archive / "series 0", "--store", store, "--json", "--top", 50]
    others = {one["path"] for one in run(*query).json}
    done = run(*query, "--exclude-same", "patient")
    strangers = {one["path"] for one in done.json}
    stranger = write_image(tmp_path / "stranger.nii", blob_volume(2), np.diag([2.0, 2.0, 4.0, 1.0]))
    unknown = run("search", stranger, "--store", store, "--json", "--exclude-same", "patient")
    assert "the query's patient is not known" in unknown.err and "is not known" not in done.err
    assert str(archive / "series 1") in others - strangers
    assert str(archive / "image.nii") in strangers
