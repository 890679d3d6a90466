"""The rows of the tables: each encoder indexes and searches, several at a time where there are several cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.store.folder import StoreFolder

from .dataset import Case
from .errors import EvaluationError
from .results import QUICK, Extent, Results, evaluate
from .selection import EARLIER, FOLDS, Choice, Places, indexed, indexed_trunk, of_the_trunk, trunk_of

#: What libraries that compute read when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Row:
    """The figures of one encoder, and what they were made with; or why there are none.

    Attributes:
        asked: what it was asked for with.
    """

    asked: str
    results: Results | None
    recipes: Sequence[str] = ()
    problem: str = ""


def evaluated_rows(
    choices: Sequence[Choice], cases: Sequence[Case], places: Places, extent: Extent, jobs: int
) -> list[Row]:
    """A row for each choice, in their order.

    Args:
        extent: of each row but that of the earlier edition, of which only the default ranking is looked at.
        jobs: so many rows at a time, each in a process of its own with one thread.
    """
    for folder in (places, trunk_of(places)):
        store = StoreFolder(folder.store)
        store.make()
        _ = store.tokens  # makes the secret, once
    row = partial(_row, cases=cases, places=places, extent=extent)
    if jobs == 1 or len(choices) == 1:
        return [row(choice) for choice in choices]
    # The cross-validation takes longest, and begins.
    order = sorted(choices, key=lambda choice: (choice.name != FOLDS, choice.name != EARLIER))
    with _one_thread(), ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        done = dict(zip(order, pool.map(row, order), strict=True))
    return [done[choice] for choice in choices]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _row(choice: Choice, cases: Sequence[Case], places: Places, extent: Extent) -> Row:
    started = time.monotonic()
    extent = QUICK if choice.name == EARLIER else extent
    try:
        evaluated = indexed(choice, cases, places)
        trunk = indexed_trunk(choice, of_the_trunk(cases, places), places) if extent.trunk else None
    except (EvaluationError, VolumeRetrievalError) as error:
        print(f"{choice}: left out: {error}", file=sys.stderr, flush=True)
        return Row(str(choice), None, problem=str(error))
    ready = time.monotonic()
    try:
        results = evaluate(evaluated, cases, extent, trunk)
    finally:
        evaluated.close()
        if trunk is not None:
            trunk[0].close()
    done = time.monotonic()
    times = f"indexed in {ready - started:.0f} s, searched in {done - ready:.0f} s"
    print(f"{results.name}: {times}", file=sys.stderr, flush=True)
    return Row(str(choice), results, evaluated.recipes)
