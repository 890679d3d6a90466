"""Tokens: the same patient is known again, and nobody else knows the patient."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from pathlib import Path

import pytest
from engine.store_samples import RECIPE, new_volume, python_process
from VolumeRetrievalEngine.errors import StoreError
from VolumeRetrievalEngine.patients import SECRET_FILE, PatientTokens
from VolumeRetrievalEngine.store import VolumeStore

NAME, PATIENT_ID, BIRTH_DATE = "Mustermann^Erika", "PAT-0815-4711", "19640812"


def test_the_same_patient_has_the_same_token_each_time(tmp_path: Path) -> None:
    first = PatientTokens.of_store(tmp_path / "store").token("Hospital", "42")
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert PatientTokens.of_store(tmp_path / "store").token(" Hospital", "42 ") == first


def test_other_patients_issuers_and_stores_have_other_tokens(tmp_path: Path) -> None:
    here, there = PatientTokens.of_store(tmp_path / "here"), PatientTokens.of_store(tmp_path / "there")
    tokens = [
        here.token("Hospital", "42"),
        here.token("Hospital", "43"),
        here.token("Clinic", "42"),
        here.token("", "42"),
        here.token("Hospital4", "2"),
        there.token("Hospital", "42"),
        PatientTokens.ephemeral().token("Hospital", "42"),
    ]
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize("unknown", ["", "  ", "\t\n"])
def test_an_unknown_patient_has_no_token(unknown: str) -> None:
    assert PatientTokens.ephemeral().token("Hospital", unknown) == ""


def test_an_identifier_that_is_no_text_has_a_token() -> None:
    assert PatientTokens.ephemeral().token("", b"\xe4".decode("utf-8", "surrogateescape"))


def test_the_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    PatientTokens.of_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600


def test_processes_that_begin_together_share_one_secret(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from VolumeRetrievalEngine.patients import PatientTokens
print("ready", flush=True)
sys.stdin.readline()
print(PatientTokens.of_store(Path(sys.argv[1])).token("", "42"), flush=True)
"""
    processes = [python_process(program, tmp_path / "store") for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    tokens = {process.communicate()[0] for process in processes}
    assert len(tokens) == 1
    assert tokens == {PatientTokens.of_store(tmp_path / "store").token("", "42") + "\n"}
    assert [path.name for path in (tmp_path / "store").iterdir()] == [SECRET_FILE]


def test_a_damaged_secret_is_an_error_that_says_what_deleting_it_costs(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_bytes(b"short")
    with pytest.raises(StoreError, match="expected 32 bytes, found 5; restore"):
        PatientTokens.of_store(tmp_path)


def test_a_secret_that_cannot_be_read_is_an_error_and_not_another_secret(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).mkdir()  # unreadable for root too
    with pytest.raises(StoreError, match="cannot be read"):
        PatientTokens.of_store(tmp_path)


def failing_open(code: int) -> object:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_full_disk_is_an_error_and_not_a_secret_that_is_lost_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing_open(errno.ENOSPC))
    with pytest.raises(StoreError, match="free some space"):
        PatientTokens.of_store(tmp_path)


def test_a_read_only_folder_without_a_secret_gives_passing_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing_open(errno.EROFS))
    first, second = PatientTokens.of_store(tmp_path), PatientTokens.of_store(tmp_path)
    assert first.token("", "42") == first.token("", "42") != second.token("", "42")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_links_keeps_the_secret_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    token = PatientTokens.of_store(tmp_path).token("", "42")
    assert PatientTokens.of_store(tmp_path).token("", "42") == token
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]


def test_no_name_id_or_birth_date_reaches_the_store(tmp_path: Path) -> None:
    """The store is given tokens; a search of every byte and of everything that is compressed finds nothing else."""
    tokens = PatientTokens.of_store(tmp_path)
    folder = tmp_path / "recipe"
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(3):
            store.add(
                new_volume(
                    number,
                    patient_token=tokens.token("Hospital", PATIENT_ID),
                    study_token=tokens.token(PATIENT_ID, f"{NAME} {BIRTH_DATE}"),
                )
            )
        store.remove([store.listing()[0].volume_id])
        contents = [store.files(key).paths + store.slices(key).sop_uid for key in store.keys().tolist()]
        assert store.listing()[0].patient_token == tokens.token("Hospital", PATIENT_ID)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    everything += repr(contents).encode()
    assert b"1.2.1" in everything  # what is there is found
    for planted in (NAME, "Mustermann", PATIENT_ID, BIRTH_DATE):
        for encoding in ("utf-8", "utf-16-le"):
            assert planted.encode(encoding) not in everything
