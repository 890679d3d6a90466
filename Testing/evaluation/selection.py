"""Which encoders are evaluated: those asked for, or every one whose weights are on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from VolumeRetrievalEngine.encoders import choice as encoders
from VolumeRetrievalEngine.encoders.catalog import CATALOG
from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder

from .database import Database, build_database
from .dataset import Case, read_cases
from .errors import EvaluationError
from .evaluated import Evaluated, cross_validated
from .folds import Fold, are_folds, including, read_folds

#: The encoder that ships with the extension, and what stands for its cross-validation on the command line.
SHIPPED, FOLDS = "radiology-resnet", "folds"
#: Parts of the body whose organs are looked for.
_TRUNK = ("CHEST", "ABDOMEN", "ABDOMEN-PELVIS", "PROSTATE")
#: What the others are compared with.
REFERENCES = ("descriptor", "torchscript")
#: What the folds of the encoder's earlier edition stand for on the command line.
EARLIER = "earlier-folds"

_SHIPPED_WEIGHTS = Path(encoders.__file__).parent / "radiology_resnet" / f"{SHIPPED}.safetensors"


@dataclass(frozen=True)
class Choice:
    """One row that is asked for.

    Attributes:
        name: of the encoder, or FOLDS.
        weights: its file, or the folder of the folds; None for the usual one.
    """

    name: str
    weights: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Choice:
        """From "NAME" or "NAME=PATH"."""
        name, _, path = text.partition("=")
        return cls(name, Path(path).expanduser().resolve() if path else None)

    def __str__(self) -> str:
        return self.name if self.weights is None else f"{self.name}={self.weights}"


@dataclass(frozen=True)
class Places:
    """Where things are.

    Attributes:
        shared: the folder with data/ and weights/.
        store: where the indexes are kept.
        folds: the usual cross-validation.
        earlier: that of the encoder's first edition, over the same folds.
    """

    shared: Path
    store: Path
    folds: Path
    earlier: Path

    @property
    def data(self) -> Path:
        return self.shared / "data"

    @property
    def further(self) -> Path:
        """Volumes that lend their masks."""
        return self.shared / "training2"

    @property
    def mobilenet(self) -> Path:
        return self.shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt"


def everything_present(places: Places) -> list[Choice]:
    """Every encoder whose weights are on this machine."""
    names = ["descriptor"]
    names += ["torchscript"] if places.mobilenet.is_file() else []
    names += [SHIPPED] if _SHIPPED_WEIGHTS.is_file() else []
    names += [FOLDS] if are_folds(places.folds) else []
    names += [EARLIER] if are_folds(places.earlier) else []
    folder = WeightsFolder()
    names += [name for name, entry in CATALOG.items() if folder.status(entry).state in ("installed", "damaged")]
    return [Choice(name) for name in names]


def indexed(choice: Choice, cases: Sequence[Case], places: Places) -> Evaluated:
    """The archive embedded for one row; what was embedded before costs nothing.

    Raises:
        EvaluationError: the folds are not fit to be used.
        VolumeRetrievalError: the encoder cannot be made.
    """
    build = partial(build_database, cases, places.store)
    if choice.name == FOLDS:
        return _folds(choice, cases, places)
    if choice.name == EARLIER:
        return _folds(Choice(FOLDS, choice.weights or places.earlier), cases, places)
    weights = choice.weights
    if choice.name == "torchscript" and weights is None:
        weights = _mobilenet(places)
    database = build(choice.name, weights)
    # Other weights for the architecture of the shipped encoder are those of a training on these very patients.
    in_sample = choice.name == SHIPPED
    name = database.archive.recipe.encoder
    if in_sample and weights is not None:
        name += f", {weights.stem}"
    return Evaluated(name, {0: database}, in_sample=in_sample)


def of_the_trunk(cases: Sequence[Case], places: Places) -> list[Case]:
    """Volumes with a mask of an organ of the trunk that another patient has a mask of, too.

    Beside shared/data those of shared/training2, which lend their masks for this alone.
    """
    further = read_cases(places.further) if (places.further / "manifest.csv").is_file() else []
    having = [case for case in (*cases, *further) if case.body_part in _TRUNK and case.masks]
    return [
        case
        for case in having
        if any(other.patient != case.patient and set(other.masks) & set(case.masks) for other in having)
    ]


def trunk_of(places: Places) -> Places:
    """The same with the store that these volumes are indexed into: a ranking of the others must not see them."""
    return replace(places, store=places.store / "trunk")


def indexed_trunk(choice: Choice, cases: Sequence[Case], places: Places) -> tuple[Evaluated, list[Case]]:
    """Likewise these volumes, in a store of their own, and those of them that may be searched with."""
    evaluated = indexed(choice, cases, trunk_of(places))
    fold_of = evaluated.fold_of
    return evaluated, [case for case in cases if fold_of is None or case.patient in fold_of]


def _folds(choice: Choice, cases: Sequence[Case], places: Places) -> Evaluated:
    folder = choice.weights or places.folds
    if not are_folds(folder):
        raise EvaluationError(f"{folder}: no folds.json; expected the folder of a cross-validation (--folds FOLDER)")
    patients = {case.patient for case in cases}
    folds = including(read_folds(folder, patients & {case.patient for case in read_cases(places.data)}), patients)

    def build(fold: Fold) -> Database:
        return build_database(cases, places.store, SHIPPED, fold.weights, fold.trained_patients)

    name = f"{SHIPPED} ({len(folds.networks)}-fold)"
    return cross_validated(name if choice.weights is None else f"{name}, {folder.name}", folds, build)


def _mobilenet(places: Places) -> Path:
    """The description of the shared network, beside the indexes because the shared folder is read-only."""
    places.store.mkdir(parents=True, exist_ok=True)
    description = places.store / "mobilenet_v2_imagenet.json"
    values = {
        "name": "mobilenet_v2_imagenet",
        "file": str(places.mobilenet),
        "input_size": 224,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    description.write_text(json.dumps(values, indent=2), encoding="utf-8")
    return description
