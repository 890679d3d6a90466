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
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from .bars import bars_section
from .controls import acquisition_distance, random_distance
from .dataset import Case, read_cases
from .mapped import mapped_section
from .quoted_figures import quoted_figures
from .quotes import section, update_documents
from .report import page
from .results import QUICK, Extent
from .rows import Row, evaluated_rows
from .selection import EARLIER, REFERENCES, Choice, Places, everything_present
from .whole_volume import ATTRIBUTES, Table, evaluate_orders, orders_by_distance

_ROOT = Path(__file__).resolve().parents[2]
_EARLIER = _ROOT / "Training" / "first_edition"
_SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", _ROOT.parent / "shared"))


def main() -> int:
    """Evaluate; returns the exit code."""
    options = _options()
    places = Places(options.shared.resolve(), options.store.resolve(), options.folds.resolve(), _EARLIER)
    if not (places.data / "manifest.csv").is_file():
        print(f"the real volumes are not at {places.data}: nothing to evaluate on (--shared DIR)", file=sys.stderr)
        return 1
    extent = QUICK if options.quick else Extent()
    cases = read_cases(places.data)
    asked = [Choice.parse(text) for text in options.encoders or ()]
    rows = evaluated_rows(asked or everything_present(places), cases, places, extent, options.jobs)
    by_asked = {row.asked: row.results for row in rows if row.results is not None}
    earlier = by_asked.pop(EARLIER, None)
    if not by_asked or any(row.results is None for row in rows if asked):
        return 1
    controls = _controls(cases) if extent.controls else {}
    references = [by_asked[name].name for name in REFERENCES if name in by_asked]
    blocks = quoted_figures(by_asked, controls)
    heading = "\n".join([_heading(cases, rows), bars_section(by_asked, earlier)])
    mapped = mapped_section(cases, places, list(by_asked)) if extent.scores else ""
    text = page(heading, list(by_asked.values()), controls, references, earlier) + mapped + section(blocks)
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
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(2, os.cpu_count() or 1),
        help="rows at a time (default: %(default)s); each needs some GB of memory",
    )
    parser.add_argument("--results", type=Path, help="the file to write, and no other document")
    return parser.parse_args()


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


def _heading(cases: list[Case], rows: Sequence[Row]) -> str:
    command = shlex.join(["make", "evaluate"])
    patients = len({case.patient for case in cases})
    recipes = "".join(f"- {row.results.name}: `{one}`\n" for row in rows if row.results for one in row.recipes)
    absent = "".join(f"- {row.asked}: left out: {row.problem}\n" for row in rows if row.problem)
    return (
        f"# Results\n\n`{command}` on {date.today().isoformat()}: {len(cases)} volumes of {patients} patients of "
        f"shared/data. Written by that command. No network but those of "
        f"rows marked in-sample was trained on a patient who queries it.\n\n{recipes}{absent}"
    )


if __name__ == "__main__":
    sys.exit(main())
