"""What ITK does not tell about NIfTI, NRRD and MetaImage headers: their raw files, and whether they give a geometry."""

from __future__ import annotations

import re
from pathlib import Path

import SimpleITK as sitk

_HEADER_BYTES = 64 * 1024


def raw_files(path: Path) -> list[Path]:
    """The files that hold the voxels of a .nhdr or .mhd header; [] for all other files.

    Names made by a pattern ("slice%03d.raw 1 50 1") are not followed.
    """
    ending = path.suffix.lower()
    if ending not in (".nhdr", ".mhd"):
        return []
    key = "data file" if ending == ".nhdr" else "elementdatafile"
    lines = _header_lines(path)
    for number, line in enumerate(lines):
        name, _, value = line.partition(":" if ending == ".nhdr" else "=")
        if name.strip().lower() not in (key, key.replace(" ", "")):
            continue
        value = value.strip()
        if value.upper() == "LOCAL" or "%" in value:
            return []
        names = [one.strip() for one in lines[number + 1 :] if one.strip()] if value.split()[0] == "LIST" else [value]
        return [path.parent / one for one in names]
    return []


def has_geometry(path: Path, header: sitk.ImageFileReader) -> bool:
    """Whether the file says how its axes lie in the patient."""
    ending = path.suffix.lower()
    if ending in (".nii", ".gz"):
        codes = [header.GetMetaData(key) for key in ("qform_code", "sform_code") if header.HasMetaDataKey(key)]
        return any(code.strip() not in ("", "0") for code in codes)
    wanted = ("space directions",) if ending in (".nrrd", ".nhdr") else ("transformmatrix", "orientation", "rotation")
    names = [re.split(r":=|:|=", line, maxsplit=1)[0].strip().lower() for line in _header_lines(path)]
    return any(name in wanted for name in names)


def _header_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    text = head.decode("utf-8", "surrogateescape")  # as file names are
    # The header of .nrrd ends at an empty line, that of .mha with the line that names the data.
    end = re.search(r"\r?\n\r?\n|ElementDataFile\s*=\s*LOCAL", text)
    return (text[: end.start()] if end else text).splitlines()
