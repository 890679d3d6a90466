"""Networks of a cross-validation: which of them has not seen which patient.

A folder holds `folds.json` ({"folds": {patient: k}}) and for each k the weights `fold-<k>.safetensors` with a
`fold-<k>.json` beside them that lists "trained_patients".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EvaluationError


@dataclass(frozen=True)
class Fold:
    """One network of a cross-validation.

    Attributes:
        weights: its file.
        trained_patients: whose volumes it was trained on.
    """

    weights: Path
    trained_patients: frozenset[str]


@dataclass(frozen=True)
class Folds:
    """The networks of a cross-validation.

    Attributes:
        of_patient: the number of the fold that a patient is held out of training in.
        networks: by number.
    """

    of_patient: Mapping[str, int]
    networks: Mapping[int, Fold]


def including(folds: Folds, patients: Collection[str]) -> Folds:
    """The folds with further patients, who were in no fold: each queries the first network that never saw him.

    A patient whom every network saw is in none; nothing can be asked of him.
    """
    found = dict(folds.of_patient)
    for patient in set(patients) - set(found):
        unseen = [number for number, fold in sorted(folds.networks.items()) if patient not in fold.trained_patients]
        if unseen:
            found[patient] = unseen[0]
    return Folds(found, folds.networks)


def are_folds(folder: Path) -> bool:
    """Whether there is a cross-validation in this folder."""
    return (folder / "folds.json").is_file()


def read_folds(folder: Path, patients: Collection[str]) -> Folds:
    """The cross-validation in a folder, found fit to be queried by these patients.

    Raises:
        EvaluationError: a file is missing or does not say what it should; a patient belongs to no fold; or the network
            of a patient's fold was trained on that patient.
    """
    file = folder / "folds.json"
    given = _read(file, "folds", dict)["folds"]
    if missing := sorted(set(patients) - set(given)):
        raise EvaluationError(f"{file}: these patients belong to no fold: {', '.join(missing)}")
    of_patient = {patient: int(given[patient]) for patient in sorted(set(patients))}
    networks = {number: _fold(folder, number) for number in sorted(set(of_patient.values()))}
    for number, fold in networks.items():
        held_out = {patient for patient, its in of_patient.items() if its == number}
        if seen := sorted(held_out & fold.trained_patients):
            raise EvaluationError(
                f"{fold.weights}: was trained on patients whom {file} holds out of fold {number}: {', '.join(seen)}"
            )
    return Folds(of_patient, networks)


def _fold(folder: Path, number: int) -> Fold:
    weights = folder / f"fold-{number}.safetensors"
    if not weights.is_file():
        raise EvaluationError(f"{weights}: no such file; expected the weights of fold {number} of {folder}/folds.json")
    described = weights.with_suffix(".json")
    values = _read(described, "trained_patients", list)
    # Weights that were written anew without their description would be judged by the patients of other weights.
    if (noted := _noted_hash(values, weights.name)) and noted != _sha256(weights):
        raise EvaluationError(f"{described}: describes other weights than {weights.name} (their sha256 is {noted})")
    return Fold(weights, frozenset(map(str, values["trained_patients"])))


def _noted_hash(values: Mapping[str, Any], name: str) -> str:
    """The sha256 that the description says the file of this name has; "" if it says none."""
    noted = values.get("sha256")
    return str(noted.get(name, "")) if isinstance(noted, dict) else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(file: Path, entry: str, kind: type) -> dict[str, Any]:
    """The JSON in a file, which must have an entry of this kind."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file}: cannot be read ({error}); expected JSON with {entry!r}") from error
    if not isinstance(values, dict) or not isinstance(values.get(entry), kind):
        raise EvaluationError(f"{file}: expected JSON with {entry!r}, a {kind.__name__}")
    return values
