"""The public data set's folder, as it is unpacked: a folder for each subject, and the table of the splits."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import EvaluationError
from .structures import structures_of, version_of

#: Paper A: the training split is the database, the test split queries. The validation split takes no part.
ROLES = {"train": "DATABASE", "test": "QUERY"}

_EXPECTED = (
    "expected the unpacked data set: meta.csv, and for each subject sNNNN/ct.nii.gz and sNNNN/segmentations/*.nii.gz"
)


@dataclass(frozen=True)
class Subject:
    """One CT with its masks.

    Attributes:
        role: "DATABASE" or "QUERY".
        masks: files by structure; one for each structure of the version, most of them empty.
    """

    id: str
    role: str
    image: Path
    masks: dict[str, Path]


@dataclass(frozen=True)
class Dataset:
    """What was found.

    Attributes:
        version: "v1" (104 structures) or "v2" (117).
        subjects: those of both roles that are complete, by id.
        left_out: id and reason of those that are not.
    """

    folder: Path
    version: str
    subjects: dict[str, Subject]
    left_out: dict[str, str]

    def of(self, role: str) -> list[Subject]:
        return [one for one in self.subjects.values() if one.role == role]

    def first(self, count: int) -> Dataset:
        """A data set of `count` subjects for a first look: four in five of the database, the others query."""
        n_queries = max(1, count // 5)
        kept = [*self.of("DATABASE")[: max(1, count - n_queries)], *self.of("QUERY")[:n_queries]]
        return replace(self, subjects={one.id: one for one in kept})


def read_dataset(folder: Path) -> Dataset:
    """Look at the folder; no image is opened.

    Raises:
        EvaluationError: it is not this data set, or one of the two splits has no complete subject.
    """
    if not str(folder).isprintable():  # the paths of images are given to the engine in a table
        raise EvaluationError(f"{str(folder)!a}: line breaks or other odd letters in its path; rename or move it")
    splits = _splits(folder)
    wanted = {subject: ROLES[split] for subject, split in splits.items() if split in ROLES}
    masks = {subject: _masks(folder / subject) for subject in wanted}
    version = _version(folder, masks)
    complete, left_out = {}, {}
    for subject, role in sorted(wanted.items()):
        reason = _lacks(folder / subject, masks[subject], version)
        if reason:
            left_out[subject] = reason
        else:
            names = structures_of(version)
            found = {name: path for name, path in masks[subject].items() if name in names}
            complete[subject] = Subject(subject, role, folder / subject / "ct.nii.gz", found)
    dataset = Dataset(folder, version, complete, left_out)
    for split, role in ROLES.items():
        if not dataset.of(role):
            reasons = Counter(reason for subject, reason in left_out.items() if wanted[subject] == role)
            most = f" (most often: {reasons.most_common(1)[0][0]})" if reasons else ""
            raise EvaluationError(
                f"{folder}: no complete subject of the {split} split{most}; {_EXPECTED}. Was the download interrupted?"
            )
    return dataset


def _splits(folder: Path) -> dict[str, str]:
    table = folder / "meta.csv"
    if not table.is_file():
        inside = [path.parent.name for path in folder.glob("*/meta.csv")]
        hint = f"; {folder / inside[0]} looks like it" if inside else ""
        if not inside and any(folder.glob("*/mri.nii.gz")):
            hint = "; this is the MR data set (mri.nii.gz), and paper A's experiments are on the CT one"
        raise EvaluationError(f"{folder}: no meta.csv; {_EXPECTED}{hint}")
    # A byte order mark and semicolons, in both versions.
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    reader = csv.DictReader(lines, delimiter=max(";,\t", key=(lines or [""])[0].count))
    if not {"image_id", "split"} <= set(reader.fieldnames or ()):
        raise EvaluationError(f"{table}: expected the columns image_id and split, found {reader.fieldnames or 'none'}")
    splits = {row["image_id"]: (row["split"] or "").strip() for row in reader}
    unknown = sorted(set(splits.values()) - {*ROLES, "val"})
    if unknown:
        raise EvaluationError(f"{table}: splits {unknown}: expected train, val and test")
    return splits


def _masks(subject: Path) -> dict[str, Path]:
    return {path.name.removesuffix(".nii.gz"): path for path in sorted((subject / "segmentations").glob("*.nii.gz"))}


def _version(folder: Path, masks: dict[str, dict[str, Path]]) -> str:
    versions = Counter(version for one in masks.values() if (version := version_of(one)))
    if len(versions) == 1:
        return next(iter(versions))
    if versions:
        found = ", ".join(f"{count} subjects of {version}" for version, count in sorted(versions.items()))
        raise EvaluationError(f"{folder}: {found}: unpack the two versions into folders of their own")
    raise EvaluationError(f"{folder}: no masks of version 1 (104 structures) or 2 (117 structures); {_EXPECTED}")


def _lacks(subject: Path, masks: dict[str, Path], version: str) -> str:
    """Why a subject cannot take part, or ""."""
    if not subject.is_dir():
        return "no folder of it"
    image = subject / "ct.nii.gz"
    if not image.is_file() or image.stat().st_size == 0:
        return "no ct.nii.gz in it, or an empty one"
    missing = sorted(structures_of(version) - set(masks))
    if missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        return f"{len(missing)} of {len(structures_of(version))} masks are missing ({shown})"
    empty = [name for name, path in masks.items() if path.stat().st_size == 0]
    return f"mask {empty[0]} is a file of no bytes" if empty else ""
