"""`make evaluate`: index the real volumes with each encoder, search with each of them, print and write what comes out.

With every row of quoted_figures.py it writes Testing/RESULTS.md and what other documents quote of it (quotes.py).

    python -m evaluation [--shared DIR] [--encoders NAME[=FILE] ...] [--folds FOLDER] [--quick] [--results FILE]

run in Testing/. Without --encoders it is every encoder whose weights are on this machine. The indexes are kept in
build/evaluation, so that a second run only searches. While training, what decides and nothing else is

    python -m evaluation --quick --encoders descriptor torchscript folds=FOLDER
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from VolumeRetrievalEngine.errors import VolumeRetrievalError

from .bars import bars_section
from .controls import acquisition_distance, random_distance
from .dataset import Case, read_cases
from .errors import EvaluationError
from .quoted_figures import quoted_figures
from .quotes import section, update_documents
from .report import page
from .results import QUICK, Extent, Results, evaluate
from .selection import REFERENCES, Choice, Places, everything_present, indexed, indexed_trunk, of_the_trunk
from .whole_volume import ATTRIBUTES, Table, evaluate_orders, orders_by_distance

_ROOT = Path(__file__).resolve().parents[2]
_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", _ROOT.parent / "shared"))


@dataclass(frozen=True)
class _Row:
    """The figures of one encoder, and what they were made with."""

    asked: str
    results: Results
    recipes: list[str]


def main() -> int:
    """Evaluate; returns the exit code."""
    options = _options()
    places = Places(options.shared.resolve(), options.store.resolve(), options.folds.resolve())
    if not (places.data / "manifest.csv").is_file():
        print(f"the real volumes are not at {places.data}: nothing to evaluate on (--shared DIR)", file=sys.stderr)
        return 1
    extent = QUICK if options.quick else Extent()
    cases = read_cases(places.data)
    try:
        rows, left_out = _rows(options, cases, places, extent)
    except (EvaluationError, VolumeRetrievalError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    controls = _controls(cases) if extent.controls else {}
    references = [row.results.name for name in REFERENCES for row in rows if row.asked == name]
    by_asked = {row.asked: row.results for row in rows}
    blocks = quoted_figures(by_asked, controls)
    heading = _heading(cases, rows, left_out) + bars_section(by_asked)
    text = page(heading, [row.results for row in rows], controls, references) + section(blocks)
    print(text)
    if options.results is not None:
        options.results.write_text(text, encoding="utf-8")
    elif blocks:
        (_ROOT / "Testing" / "RESULTS.md").write_text(text, encoding="utf-8")
        update_documents(blocks)
    else:
        print("not written: some of the rows that other documents quote are missing (--results FILE)", file=sys.stderr)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=_SHARED, help="folder with data/ and weights/")
    parser.add_argument(
        "--encoders",
        nargs="+",
        metavar="NAME[=FILE]",
        help="with another file of weights, if it has one; 'folds' is the cross-validation, 'folds=FOLDER' another one "
        "(default: every encoder whose weights are on this machine)",
    )
    parser.add_argument(
        "--folds", type=Path, default=_ROOT / "Training" / "folds", help="folder of the cross-validation's networks"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the default ranking only, no controls; written only where --results says",
    )
    parser.add_argument("--store", type=Path, default=_ROOT / "build" / "evaluation", help="where the indexes are kept")
    parser.add_argument("--results", type=Path, help="the file to write, and no other document")
    return parser.parse_args()


def _rows(
    options: argparse.Namespace, cases: list[Case], places: Places, extent: Extent
) -> tuple[list[_Row], dict[str, str]]:
    """What was asked for; or everything that is here, with the reason for each encoder that cannot run after all."""
    asked = [Choice.parse(text) for text in options.encoders or ()]
    rows, left_out = [], {}
    for choice in asked or everything_present(places):
        try:
            rows.append(_row(choice, cases, places, extent))
        except VolumeRetrievalError as error:
            if asked:
                raise
            left_out[choice.name] = str(error)
            print(f"{choice.name}: left out: {error}", file=sys.stderr)
    return rows, left_out


def _row(choice: Choice, cases: list[Case], places: Places, extent: Extent) -> _Row:
    started = time.monotonic()
    evaluated = indexed(choice, cases, places)
    trunk = indexed_trunk(choice, of_the_trunk(cases, places), places) if extent.trunk else None
    ready = time.monotonic()
    try:
        results = evaluate(evaluated, cases, extent, trunk)
    finally:
        evaluated.close()
        if trunk is not None:
            trunk[0].close()
    done = time.monotonic()
    print(f"{results.name}: indexed in {ready - started:.0f} s, searched in {done - ready:.0f} s", file=sys.stderr)
    return _Row(choice.name, results, evaluated.recipes)


def _controls(cases: list[Case]) -> dict[str, dict[str, Table]]:
    """By attribute, then name."""
    orders = {
        "control: spacing, matrix, padding": orders_by_distance(cases, acquisition_distance(cases)),
        "control: random order": orders_by_distance(cases, random_distance(cases)),
    }
    return {
        attribute: {name: evaluate_orders(cases, attribute, one) for name, one in orders.items()}
        for attribute in ATTRIBUTES
    }


def _heading(cases: list[Case], rows: Sequence[_Row], left_out: dict[str, str]) -> str:
    command = shlex.join(["make", "evaluate"])
    patients = len({case.patient for case in cases})
    recipes = "".join(f"- {row.results.name}: `{recipe}`\n" for row in rows for recipe in row.recipes)
    absent = "".join(f"- {name}: left out: {reason}\n" for name, reason in left_out.items())
    return (
        f"# Results\n\n`{command}` on {date.today().isoformat()}: {len(cases)} volumes of {patients} patients of "
        f"shared/data. Written by that command. No network but those of "
        f"rows marked in-sample was trained on a patient who queries it.\n\n{recipes}{absent}"
    )


if __name__ == "__main__":
    sys.exit(main())
