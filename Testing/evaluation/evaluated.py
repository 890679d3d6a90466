"""One row of the tables: an encoder and the archive as it sees it, or the networks of a cross-validation together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .database import Database
from .dataset import Case
from .errors import EvaluationError
from .folds import Fold, Folds


@dataclass(frozen=True)
class Evaluated:
    """What answers the queries of one row.

    Attributes:
        name: of the row.
        databases: the archive as each network embeds it.
        fold_of: by patient, which of the databases his volumes are searched in; None if there is only one.
        in_sample: whether the network was trained on those who query: what it reaches says nothing of new patients.
    """

    name: str
    databases: Mapping[int, Database]
    fold_of: Mapping[str, int] | None = None
    in_sample: bool = False

    def database_for(self, case: Case) -> Database:
        """The archive that this case queries."""
        return self.databases[0 if self.fold_of is None else self.fold_of[case.patient]]

    @property
    def recipes(self) -> list[str]:
        """What the embeddings were made with, as JSON."""
        return [one.archive.recipe.to_json() for one in self.databases.values()]

    def close(self) -> None:
        for one in self.databases.values():
            one.archive.close()


def cross_validated(name: str, folds: Folds, build: Callable[[Fold], Database]) -> Evaluated:
    """The networks of a cross-validation as one row: each embeds all volumes, its held-out patients alone query.

    Raises:
        EvaluationError: two folds have the same weights.
    """
    databases = {number: build(fold) for number, fold in folds.networks.items()}
    weights: dict[str, int] = {}
    for number, database in databases.items():
        same = weights.setdefault(database.archive.recipe.weights, number)
        if same != number:
            raise EvaluationError(f"{folds.networks[number].weights}: the same weights as fold {same}'s")
    return Evaluated(name, databases, folds.of_patient)
