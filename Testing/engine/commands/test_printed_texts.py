"""What is printed holds nothing that a terminal obeys, wherever it comes from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from engine.commands import Finished, run
from engine.dicom_files import stored_values, write_series
from VolumeRetrievalEngine.readable import printable

#: Erases the screen, a command in one byte, turns the direction of writing, rings, and breaks the line.
TRICKS = "\x1b[2J\x9b31m\u202e\u2066\u200f\x07\n\x7f"
_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def lines_of(finished: Finished) -> list[str]:
    """Everything that was printed."""
    text = finished.out + finished.err
    assert _OBEYED.findall(text) == []
    return text.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_no_command_sends_control_characters_of_a_file_to_the_terminal(tmp_path: Path):
    archive = tmp_path / f"archive{TRICKS}"
    write_series(
        archive / "series",
        stored_values((3, 8, 8)),
        SpecificCharacterSet="ISO_IR 192",
        Manufacturer=f"ACME{TRICKS}",
        SeriesDescription=f"lung{TRICKS}",
    )
    (archive / "broken.nii").write_bytes(b"x" * 400)
    (archive / "notes.txt").write_text("x")
    store = tmp_path / f"store{TRICKS}"
    printed = "\n".join(lines_of(run("--verbose", "index", archive, "--store", store)))
    assert r"archive\x1b[2J\x9b31m\u202e\u2066\u200f\x07\n\x7f/broken.nii" in printed
    listed = lines_of(run("list", "--store", store))
    assert len(listed) == 2  # the head and one volume
    (volume_id,) = {one.split()[0] for one in listed[1:]}
    told = lines_of(run("info", volume_id, "--store", store))
    assert any(one.startswith("series description: lung\\x1b[2J") for one in told)
    lines_of(run("info", "--store", store))
    lines_of(run("search", volume_id, "--store", store))
    lines_of(run("search", archive / "nothing", "--store", store))
    lines_of(run("verify", "--store", store))
    lines_of(run("remove", archive, "--store", store))


def test_letters_of_every_alphabet_are_printed_as_they_are():
    for text in ("Zwölf Köpfe", "頭部 CT", "שרון דבורה", "قباني", "สมชาย", "홍길동", "e\u0301", "👩‍⚕️"):
        assert printable(text) == text
