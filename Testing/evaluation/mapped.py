"""An archive of another encoder's rows, mapped, against the same archive embedded again (docs/METHOD.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from VolumeRetrievalEngine.mapped_index import VOLUMES, spread
from VolumeRetrievalEngine.method.late_interaction import score_volumes
from VolumeRetrievalEngine.method.space_map import SpaceMap, fit

from .database import Database
from .dataset import Case
from .evaluated import Evaluated
from .markdown import markdown
from .selection import REFERENCES, SHIPPED, Choice, Places, indexed
from .tables import pooled
from .whole_volume import Orders, Table, evaluate_orders

_GROUPS = "body_part"

#: Whose rows are mapped.
_OLD = REFERENCES[0]


def mapped_section(cases: Sequence[Case], places: Places, asked: Sequence[str]) -> str:
    """The table of the report: mAP over all groups, by late interaction alone, with the mapped archive and with the
    embedded one.

    Queries are embedded by the new encoder, as those of users are. The volumes that the map was fitted on stay in the
    archive as they are embedded, and do not query.

    Args:
        asked: the rows of the evaluation; those of other encoders than the old one are mapped to.
    """
    rows = []
    new = [name for name in asked if name not in (_OLD, SHIPPED)]
    if _OLD not in asked or not new:
        return ""
    old = indexed(Choice.parse(_OLD), cases, places)
    try:
        for name in new:
            target = indexed(Choice.parse(name), cases, places)
            try:
                rows.append(_row(cases, old.databases[0], target))
            finally:
                target.close()
    finally:
        old.close()
    head = ["archive of", "queries by", "queries", "cosine", "mAP, mapped", "mAP, embedded again", "mAP, old encoder"]
    return f"## An index mapped to another encoder\n\n{markdown(head, rows)}\n\n"


def _row(cases: Sequence[Case], old: Database, target: Evaluated) -> list[str]:
    fitted = {number: _Archive(cases, old, database) for number, database in target.databases.items()}

    def orders(mapped: bool) -> Orders:
        return {
            case.id: fitted[number].order(case, mapped)
            for case in cases
            for number in [0 if target.fold_of is None else target.fold_of[case.patient]]
            if case.id not in fitted[number].fitted_on
        }

    by_old = _Archive(cases, old, old)
    queries = orders(mapped=True)
    tables = [_table(cases, one) for one in (queries, orders(mapped=False))]
    tables.append(_table(cases, {case.id: by_old.order(case, False) for case in cases if case.id in queries}))
    cosine = np.mean([one.space.cosine for one in fitted.values() if one.space is not None])
    scores = [[score.average_precision for score in pooled(table)] for table in tables]
    return [
        old.archive.recipe.encoder,
        target.name,
        str(len(scores[0])),
        f"{cosine:.2f}",
        *(f"{np.mean(one):.3f}" for one in scores),
    ]


def _table(cases: Sequence[Case], orders: Orders) -> Table:
    """The groups' scores of those who query."""
    asking = dict(orders)
    every = {case.id: asking.get(case.id, ()) for case in cases}
    table = evaluate_orders(cases, _GROUPS, every)
    return {group: [score for score in scores if score.query in asking] for group, scores in table.items()}


class _Archive:
    """The rows of one archive in the new space, mapped and embedded."""

    def __init__(self, cases: Sequence[Case], old: Database, new: Database):
        self._cases = {case.id: case for case in cases}
        self.fitted_on: frozenset[str] = frozenset()
        self.space: SpaceMap | None = None
        before, self._embedded = _rows(old), _rows(new)
        self._mapped: Mapping[str, np.ndarray] = {}
        if old is not new:
            records = {record.key: case for case, record in old.records.items()}
            chosen = [records[one.key] for one in islice(spread(list(old.records.values())), VOLUMES)]
            self.space = fit(*zip(*(_paired(one, old, new) for one in chosen), strict=True))
            self.fitted_on = frozenset(chosen)
            self._mapped = {
                case: self._embedded[case] if case in self.fitted_on else self.space(rows)
                for case, rows in before.items()
            }

    def order(self, case: Case, mapped: bool) -> list[Case]:
        """The volumes of other patients by RS / n_q of this case's own rows."""
        rows = self._mapped if mapped else self._embedded
        others = [name for name in rows if self._cases[name].patient != case.patient]
        offsets = np.cumsum([0, *(len(rows[name]) for name in others)])
        scores = score_volumes(self._embedded[case.id], np.concatenate([rows[name] for name in others]), offsets)
        return [self._cases[others[place]] for place in np.argsort(-scores, kind="stable")]


def _rows(database: Database) -> dict[str, np.ndarray]:
    return {case: _rows_of(case, database) for case in database.records}


def _paired(case: str, old: Database, new: Database) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the slices that both have."""
    tables = [one.archive.slices(one.records[case]).index for one in (old, new)]
    _, i, j = np.intersect1d(*tables, assume_unique=True, return_indices=True)
    return _rows_of(case, old)[i], _rows_of(case, new)[j]


def _rows_of(case: str, database: Database) -> np.ndarray:
    return database.archive.query(database.records[case]).embeddings
