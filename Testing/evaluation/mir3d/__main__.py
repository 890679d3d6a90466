"""The 3D-MIR benchmark (arXiv 2311.13752; github.com/abachaa/3D-MIR): `make mir3d DATA=DIR TABLES=DIR`.

    python -m evaluation.mir3d DIR --tables DIR [--encoders NAME[=FILE] ...] [--results FILE]

run in Testing/. The first DIR holds the Task folders of the Medical Segmentation Decathlon, the other one is a clone of
the benchmark's repository. docs/PAPERS.md says where both come from and how long this takes. What was indexed by an
interrupted run is not indexed again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from VolumeRetrievalEngine.commands.console import ProgressLine
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter, Condition
from VolumeRetrievalEngine.store.records import VolumeRecord

from ..errors import EvaluationError
from ..markdown import markdown
from ..selection import SHIPPED, Choice
from ..stored import stored_volumes
from .dataset import TARGETS, Benchmark, Cohort, read_benchmark
from .scores import DEPTHS, Score, chance, score

_ROOT = Path(__file__).resolve().parents[3]

READING = """\
Each cell: precision at 3 / 5 / 10 / average precision of the first ten. The cohorts hold volumes of other organs as
well, labeled as without a lesion of this one: whoever recognizes the organ has most of the lesion flag. How many of the
queries are of the own organ stands beside each cohort, what random results reach below it; the rows "own organ only"
leave the others out of queries and results, and show what is left when the organ gives nothing away.
"""

#: Results of each query by name, best first.
Ranked = Mapping[str, Sequence[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    options = _options(arguments)
    try:
        benchmark = read_benchmark(options.images.resolve(), options.tables.resolve())
        rows = [row for text in options.encoders for row in _rows(Choice.parse(text), benchmark, options.work)]
    except (EvaluationError, VolumeRetrievalError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was indexed is not indexed again", file=sys.stderr)
        return 130
    rows += [row for cohort in benchmark.cohorts for row in _chance_rows(cohort)]
    text = page(benchmark, rows)
    print(text)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(text, encoding="utf-8")
    return 0


def page(benchmark: Benchmark, rows: Sequence[Sequence[str]]) -> str:
    """The report: rows of [organ, which queries, method, a cell for each target]."""
    tables = []
    for cohort in benchmark.cohorts:
        own = sum(map(cohort.is_own, cohort.queries))
        heading = (
            f"## {cohort.organ}: {len(cohort.queries)} queries, {own} of the own organ "
            f"({own / len(cohort.queries):.0%}); {len(cohort.database)} volumes"
        )
        chosen = [row[1:] for row in rows if row[0] == cohort.organ]
        tables.append(f"{heading}\n\n{markdown(['queries', 'method', *TARGETS.values()], chosen)}\n")
    return "\n".join(["# 3D-MIR\n", *tables, f"## Reading\n\n{READING}"])


def _rows(choice: Choice, benchmark: Benchmark, work: Path) -> list[list[str]]:
    retriever = Retriever.create(work / "index", EncoderRequest(choice.name, choice.weights))
    with retriever, ProgressLine() as show:
        images = list(benchmark.images.values())
        report = retriever.add(images, modality="CT", root="decathlon", progress=show)
        if report.cancelled:
            raise KeyboardInterrupt
        records = stored_volumes(retriever, {path.absolute(): name for name, path in benchmark.images.items()})
        if missing := sorted(set(benchmark.images) - set(records)):
            reasons = [f"{one.path}: {one.reason}" for one in (*report.failed, *report.skipped)]
            raise EvaluationError(f"{missing[0]} and {len(missing) - 1} others could not be indexed: {reasons[:3]}")
        rows = []
        for cohort in benchmark.cohorts:
            for which, queries, database in _parts(cohort):
                ranked = _search(retriever, records, queries, database)
                cells = [_cell(score(cohort, target, ranked)) for target in TARGETS]
                rows.append([cohort.organ, which, choice.name, *cells])
        return rows


def _parts(cohort: Cohort) -> list[tuple[str, list[str], list[str]]]:
    """Everything, as the benchmark does it, and without the volumes of other organs."""
    own = [[name for name in names if cohort.is_own(name)] for names in (cohort.queries, cohort.database)]
    parts = [("all", list(cohort.queries), list(cohort.database))]
    return [*parts, ("own organ only", *own)] if all(own) else parts


def _search(
    retriever: Retriever, records: Mapping[str, VolumeRecord], queries: Sequence[str], database: Sequence[str]
) -> Ranked:
    """The first ten of the database for each query."""
    name_of = {records[name].key: name for name in database}
    # Paths, because the splits of the four organs overlap.
    only = AttributeFilter((Condition("path", "=", tuple(records[name].label for name in database)),))
    options = SearchOptions(top=DEPTHS[-1], attributes=only)
    return {
        query: [name_of[match.key] for match in retriever.search(records[query].volume_id, options=options).matches]
        for query in queries
    }


def _chance_rows(cohort: Cohort) -> list[list[str]]:
    return [
        [cohort.organ, which, "random order", *(_cell(chance(cohort, target, *names)) for target in TARGETS)]
        for which, *names in _parts(cohort)
    ]


def _cell(one: Score) -> str:
    return " / ".join(f"{value:.3f}" for value in (*one.precision, one.average_precision))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.mir3d", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path, metavar="DIR", help="the folder with Task03_Liver, Task06_Lung ...")
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="a clone of abachaa/3D-MIR")
    parser.add_argument("--encoders", nargs="+", default=[SHIPPED], metavar="NAME[=FILE]", help=f"(default: {SHIPPED})")
    build = _ROOT / "build" / "mir3d"
    parser.add_argument("--work", type=Path, default=build, help="where the index is kept (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=build / "RESULTS.md", help="(default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
