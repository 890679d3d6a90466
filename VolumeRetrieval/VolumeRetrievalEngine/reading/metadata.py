"""What files without DICOM attributes are: from a table the user wrote, or from the sidecar next to a file (BIDS)."""

from __future__ import annotations

import csv
import json
import unicodedata
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from ..errors import MetadataError
from ..roots import absolute_path
from ..volume import Attributes
from .patient_words import patient_words

COLUMNS = ("path", "modality", "body_part", "patient", "study")

_MODALITY_NAMES = {"MRI": "MR", "PET": "PT", "CAT": "CT"}


@dataclass(frozen=True)
class MetadataRow:
    """One row; "" where it says nothing. `patient` and `study` leave this module only as tokens."""

    modality: str = ""
    body_part: str = ""
    patient: str = field(default="", repr=False)
    study: str = field(default="", repr=False)


class MetadataTable:
    """A CSV table with the columns path, modality, body_part, patient and study; only path is required.

    A path is absolute, or relative to the table's folder or to the root of the archive; it may name a folder, and then
    holds for every volume below it (the deepest row counts).

    Example:
        >>> written = Path("archive.csv").write_text("path,modality,body_part\\narchive/chest-0.nii.gz,CT,CHEST\\n")
        >>> len(MetadataTable.from_csv(Path("archive.csv")))
        1
    """

    def __init__(self, rows: dict[str, MetadataRow], folder: Path):
        self._rows = {_key(path): row for path, row in rows.items()}
        self._folder = absolute_path(folder)
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def from_csv(cls, path: Path) -> MetadataTable:
        """The table in this file (UTF-8; comma, semicolon or tab). MetadataError if it is not such a table."""
        try:
            content = Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise MetadataError(f"{path}: not readable: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise MetadataError(f"{path}: expected UTF-8 text; save the table as 'CSV UTF-8'") from error
        head = content.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        lines = content.splitlines()
        _check_quotes(path, lines, delimiter)
        reader = csv.DictReader(lines, delimiter=delimiter)
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if "path" not in names:
            raise MetadataError(
                f"{path}: expected a first line with the columns {', '.join(COLUMNS)} (at least path), "
                f"found {', '.join(name for name in names if name) or 'none'}"
            )
        rows = {}
        for line in reader:
            values = {column: (line.get(names[column]) or "").strip() for column in COLUMNS if column in names}
            if values["path"]:
                rows[values.pop("path")] = MetadataRow(
                    modality=modality_name(values.get("modality", "")),
                    body_part=values.get("body_part", "").upper(),
                    patient=values.get("patient", ""),
                    study=values.get("study", ""),
                )
        return cls(rows, Path(path).parent)

    def find(self, path: Path, root: Path | None = None) -> MetadataRow | None:
        """The row for this file, else for the nearest folder above it that has one."""
        target = absolute_path(path)
        for place in (target, *target.parents):
            names = [str(place)]
            names += [
                str(place.relative_to(base)) for base in (self._folder, root) if base and place.is_relative_to(base)
            ]
            for name in map(_key, names):
                if name in self._rows:
                    self._named.add(name)
                    return self._rows[name]
        return None

    def unused(self) -> list[str]:
        """The paths of rows that match no volume, so that the user can be warned about typos."""
        return sorted(set(self._rows) - self._named)


def described(header: Attributes, row: MetadataRow, modality: str, sidecar: Attributes) -> Attributes:
    """What is known from all sources; the file's own header counts first, then table, option and sidecar."""
    known = {one.name: getattr(header, one.name) for one in fields(Attributes)}
    merged = sidecar.updated(**{**known, "body_part": header.body_part or row.body_part or sidecar.body_part})
    said = [("dicom", header.modality), ("csv", row.modality), ("option", modality), ("sidecar", sidecar.modality)]
    origin, name = next(((origin, name) for origin, name in said if name), ("", ""))
    return replace(merged, modality=name, modality_from=origin)


def modality_name(text: str) -> str:
    """DICOM's term for a modality as people write it: "mri" gives "MR"."""
    upper = text.strip().upper()
    return _MODALITY_NAMES.get(upper, upper)


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of an image file is, if it has one: x.json next to x.nii.gz."""
    name = path.name
    for ending in (".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd"):
        if name.lower().endswith(ending):
            return path.with_name(name[: -len(ending)] + ".json")
    return path.with_suffix(".json")


def read_sidecar(path: Path) -> tuple[Attributes, tuple[str, ...]]:
    """The attributes in the sidecar of an image file, and a note if there is one that cannot be read.

    The fields are those of the Brain Imaging Data Structure, which dcm2niix writes. What names the patient in one is
    taken out of the others.
    """
    sidecar = sidecar_path(path)
    if sidecar.exists() and not sidecar.is_file():
        return Attributes(), (f"sidecar {sidecar.name} is no file",)
    try:
        values = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Attributes(), ()
    except (OSError, ValueError, RecursionError, MemoryError):
        return Attributes(), (f"sidecar {sidecar.name} is not readable JSON",)
    if not isinstance(values, dict):
        return Attributes(), (f"sidecar {sidecar.name} holds no table of attributes",)
    patient = patient_words(  # dcm2niix writes them unless it is told not to
        names=_every(values, "PatientName"),
        ids=_every(values, "PatientID", "AccessionNumber"),
        birth_dates=_every(values, "PatientBirthDate"),
    )
    modality = modality_name(_field(values, "Modality")) or _modality_by_fields(values)
    attributes = Attributes(
        modality=modality,
        modality_from="sidecar" if modality else "",
        body_part=patient.removed_from(_field(values, "BodyPartExamined", "BodyPart").upper()),
        manufacturer=patient.removed_from(_field(values, "Manufacturer")),
        contrast_agent=patient.removed_from(_field(values, "ContrastBolusIngredient", "ContrastBolusAgent")),
        series_description=patient.removed_from(_field(values, "SeriesDescription")),
    )
    return attributes, ()


def _modality_by_fields(values: dict) -> str:
    """BIDS has no field for the modality, but requires these of PET and recommends them for MR."""
    if "TracerName" in values or "TracerRadionuclide" in values:
        return "PT"
    if "MagneticFieldStrength" in values or "RepetitionTime" in values:
        return "MR"
    return ""


def _every(values: dict, *names: str) -> list[str]:
    found = [values.get(name) for name in names]
    return [one for value in found for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _field(values: dict, *names: str) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip().encode("utf-8", "replace").decode()  # JSON can escape half a letter
    return ""


def _check_quotes(path: Path, lines: list[str], delimiter: str) -> None:
    """MetadataError for a quote that is never closed: the rows behind it would silently become one."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begun = reader.line_num + 1
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Blanks around a quoted value are no error to anybody else; they stay within one line.
            if reader.line_num > begun or reader.line_num >= len(lines) or "limit" in str(error):
                raise MetadataError(
                    f"{path}: a quote that opens in line {begun} or just after it is not closed where its value ends; "
                    'close it, or write a quote within a value twice ("")'
                ) from None


def _key(path: str) -> str:
    """One way to write a path: slashes, no trailing one, composed letters (macOS file systems decompose them)."""
    text = unicodedata.normalize("NFC", path.strip().replace("\\", "/"))
    while text.startswith("./"):
        text = text[2:]
    return text.rstrip("/") or "."
