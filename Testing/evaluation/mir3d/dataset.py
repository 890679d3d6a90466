"""The benchmark's two parts as they are downloaded: images of the Decathlon, and the tables of abachaa/3D-MIR."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import EvaluationError

#: The Decathlon's folder of each cohort. All four hold images of others as well, as cases without a lesion.
TASKS = {"liver": "Task03_Liver", "lung": "Task06_Lung", "pancreas": "Task07_Pancreas", "colon": "Task10_Colon"}

#: What two volumes can have in common: the column of the table, and the name that the paper gives it.
TARGETS = {"cancer_flag": "lesion flag", "lesion_group": "lesion group"}


@dataclass(frozen=True)
class Cohort:
    """One organ's benchmark.

    Attributes:
        database, queries: file names of the training and of the test split.
        labels: by target, then file name.
    """

    organ: str
    database: tuple[str, ...]
    queries: tuple[str, ...]
    labels: dict[str, dict[str, str]]

    def is_own(self, name: str) -> bool:
        """Whether a volume was made for this organ; the others show no lesion of it, and mostly another body region."""
        return name.startswith(f"{self.organ}_")


@dataclass(frozen=True)
class Benchmark:
    """Everything.

    Attributes:
        images: by file name; all that a cohort names are there.
    """

    images: dict[str, Path]
    cohorts: tuple[Cohort, ...]


def read_benchmark(images: Path, tables: Path) -> Benchmark:
    """Look at both folders; no image is opened.

    Args:
        images: the folder that the Decathlon's Task folders were unpacked into.
        tables: a clone of github.com/abachaa/3D-MIR, or its folder Data.

    Raises:
        EvaluationError: a folder, a table, or an image that the tables name is missing.
    """
    data = tables / "Data" if (tables / "Data").is_dir() else tables
    cohorts = tuple(_cohort(data, organ) for organ in TASKS)
    found = {path.name: path for task in TASKS.values() for path in _images_of(images / task)}
    named = {name for cohort in cohorts for name in (*cohort.database, *cohort.queries)}
    if missing := sorted(named - set(found)):
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        tasks = ", ".join(task for task in TASKS.values() if not (images / task / "imagesTr").is_dir())
        hint = f"there is no {tasks} with imagesTr in it" if tasks else "was the download interrupted?"
        raise EvaluationError(f"{images}: {len(missing)} of {len(named)} images are missing ({shown}); {hint}")
    return Benchmark({name: found[name] for name in sorted(named)}, cohorts)


def _images_of(task: Path) -> list[Path]:
    # The archives hold macOS' "._" files beside the images.
    return [path for path in task.glob("imagesTr/*.nii.gz") if not path.name.startswith(".") and path.stat().st_size]


def _cohort(data: Path, organ: str) -> Cohort:
    rows = _rows(data / "3DMIR_labels" / f"{organ}_labels_and_captions.csv", {"name", *TARGETS})
    labels = {target: {row["name"]: row[target] for row in rows if row[target] not in (None, "")} for target in TARGETS}
    database, queries = (
        tuple(
            dict.fromkeys(
                row[column] for row in _rows(data / "Data_Splits" / f"{organ}_full_{split}_split.csv", {column})
            )
        )
        for split, column in (("train", "training"), ("test", "testing"))
    )
    if not database or not queries:
        raise EvaluationError(f"{data}: the split of {organ} names no volume")
    for target, values in labels.items():
        if unknown := sorted({*database, *queries} - set(values)):
            raise EvaluationError(f"{data}: no {target} of {unknown[0]} in the table of {organ}")
    return Cohort(organ, database, queries, labels)


def _rows(table: Path, columns: set[str]) -> list[dict[str, str]]:
    if not table.is_file():
        raise EvaluationError(
            f"{table}: no such table; expected a clone of github.com/abachaa/3D-MIR with Data/Data_Splits and "
            "Data/3DMIR_labels"
        )
    # Captions span several lines, so that the reader needs the file as it is.
    with table.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        if not columns <= set(reader.fieldnames or ()):
            raise EvaluationError(
                f"{table}: expected the columns {sorted(columns)}, found {reader.fieldnames or 'none'}"
            )
        return list(reader)
