"""`make evaluate`: index the real volumes with each encoder, search with each of them, print and write what comes out.

    python -m evaluation [--shared DIR] [--encoders descriptor torchscript] [--results FILE]

run in Testing/. The indexes are kept in build/evaluation, so that a second run only searches.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from datetime import date
from pathlib import Path

from .controls import acquisition_distance, random_distance
from .database import Database, build_database
from .dataset import read_cases
from .localization import evaluate_organs, evaluate_other_modality
from .tables import localization_table, whole_volume_table
from .whole_volume import RANKINGS, evaluate_order, evaluate_whole_volumes

_ROOT = Path(__file__).resolve().parents[2]
_ORGAN_RANKINGS = ("count, K=10", "two-stage", "exhaustive")

#: What the figures show and what they do not, beside the figures.
_READING = (Path(__file__).parent / "READING.md").read_text(encoding="utf-8")


def main() -> int:
    """Evaluate; returns the exit code."""
    options = _options()
    data = options.shared / "data"
    if not (data / "manifest.csv").is_file():
        print(f"the real volumes are not at {data}: nothing to evaluate on (--shared DIR)", file=sys.stderr)
        return 1
    cases = read_cases(data)
    databases = [_database(name, cases, data, options) for name in options.encoders]
    sections = [
        _heading(options, cases, databases),
        "## Whole volumes, by modality and body part\n",
        _whole_volumes(databases, cases, "body_part"),
        "\n## Whole volumes, by modality and region\n",
        _whole_volumes(databases, cases, "region"),
        "\n## Regions: head-and-neck organs, in another patient\n",
        localization_table(
            {
                f"{one.encoder}, {ranking}": evaluate_organs(one, ranking)
                for one in databases
                for ranking in _ORGAN_RANKINGS
            }
        ),
        "\n## The other modality: the tumour of a sarcoma patient, in the same patient\n",
        localization_table(
            {
                one.encoder: {
                    "CT finds MR": evaluate_other_modality(one, "CT"),
                    "MR finds CT": evaluate_other_modality(one, "MR"),
                }
                for one in databases
            }
        ),
        "",
        _READING,
    ]
    text = "\n".join(sections)
    print(text)
    options.results.write_text(text, encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--shared", type=Path, default=_ROOT.parent / "shared", help="folder with data/ and weights/")
    parser.add_argument("--encoders", nargs="+", default=["descriptor", "torchscript"])
    parser.add_argument("--store", type=Path, default=_ROOT / "build" / "evaluation", help="where the indexes are kept")
    parser.add_argument("--results", type=Path, default=_ROOT / "Testing" / "RESULTS.md")
    return parser.parse_args()


def _database(name: str, cases: list, data: Path, options: argparse.Namespace) -> Database:
    weights = _mobilenet(options) if name == "torchscript" else None
    started = time.monotonic()
    database = build_database(cases, data, options.store, name, weights)
    print(f"{name}: {len(database.cases)} volumes ready in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return database


def _mobilenet(options: argparse.Namespace) -> Path:
    """The description of the shared network, beside the indexes because the shared folder is read-only."""
    options.store.mkdir(parents=True, exist_ok=True)
    description = options.store / "mobilenet_v2_imagenet.json"
    values = {
        "name": "mobilenet_v2_imagenet",
        "file": str(options.shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt"),
        "input_size": 224,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    description.write_text(json.dumps(values, indent=2), encoding="utf-8")
    return description


def _whole_volumes(databases: list[Database], cases: list, attribute: str) -> str:
    tables = {
        f"{one.encoder}, {ranking}": evaluate_whole_volumes(one, attribute, ranking)
        for one in databases
        for ranking in RANKINGS
    }
    tables["control: spacing, matrix, padding"] = evaluate_order(cases, attribute, acquisition_distance(cases))
    tables["control: random order"] = evaluate_order(cases, attribute, random_distance(cases))
    return "Each cell: recall@1 / precision@5 / mean average precision.\n\n" + whole_volume_table(tables)


def _heading(options: argparse.Namespace, cases: list, databases: list[Database]) -> str:
    command = shlex.join(["make", "evaluate"])
    patients = len({case.patient for case in cases})
    recipes = "\n".join(f"- `{one.retriever.recipe.to_json()}`" for one in databases)
    return (
        f"# Results\n\n`{command}` on {date.today().isoformat()}: {len(cases)} volumes of {patients} patients of "
        f"shared/data. Written by that command; nothing here is tuned on these volumes.\n\n{recipes}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
