"""Paper A's experiments on the TotalSegmentator data set (arXiv 2405.09334): `make totalsegmentator DATA=DIR`.

    python -m evaluation.totalsegmentator DIR [--encoders NAME[=FILE] ...] [--subjects N] [--jobs N] [--results FILE]

run in Testing/. DIR is the data set's folder as it is unpacked. docs/PAPERS.md says where it comes from, how large it
is, how long this takes, and how the two set-ups differ. An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from VolumeRetrievalEngine import __version__
from VolumeRetrievalEngine.commands.console import ProgressLine
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import VolumeRetrievalError
from VolumeRetrievalEngine.searching.options import SearchOptions

from ..errors import EvaluationError
from ..selection import SHIPPED, Choice
from .archive import build_archive
from .dataset import Dataset, read_dataset
from .experiments import ask_everything
from .presence import PresenceCache
from .tables import Answers, sections

_ROOT = Path(__file__).resolve().parents[3]

DIFFERENCES = """\
Paper A's figures are those of its re-ranking with the best of its six encoders, as its text gives them. What differs:

- it has the 1,204 subjects of version 1; its coarse classes are its own 29, ours are a table (structures.csv),
- its candidates are the volumes of the nearest slice of each query slice, ours of slices until 20 volumes are reached,
- regions are the slices from the first to the last that shows the structure; the paper does not say how it cuts them,
- localized recall counts a query if at least one of the 15 most contributing slices shows the structure: our reading,
- recall of a structure counts every subject with one voxel of it or more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiments; returns the exit code."""
    options = _options(arguments)
    try:
        dataset = read_dataset(options.data.resolve())
        if options.subjects:
            dataset = dataset.first(options.subjects)
        for name, reason in dataset.left_out.items():
            print(f"{name}: left out: {reason}", file=sys.stderr)
        answers = {}
        for choice in map(Choice.parse, options.encoders):
            answers[choice.name] = _answers(choice, dataset, options)
    except (EvaluationError, VolumeRetrievalError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    text = page(dataset, answers)
    print(text)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(text, encoding="utf-8")
    return 0


def page(dataset: Dataset, answers: dict[str, Answers]) -> str:
    """The report."""
    counts = f"{len(dataset.of('DATABASE'))} subjects of the training split are searched by {len(dataset.of('QUERY'))}"
    left_out = "".join(f"- {name}: {reason}\n" for name, reason in dataset.left_out.items())
    left_out = f"\nLeft out:\n\n{left_out}" if left_out else ""
    heading = (
        f"# TotalSegmentator {dataset.version}\n\n{counts} of the test split. Each cell: mean +- standard deviation "
        f"over classes (number of classes).\n{left_out}"
    )
    return "\n".join([heading, *sections(answers), f"## Reading\n\n{DIFFERENCES}"])


def _answers(choice: Choice, dataset: Dataset, options: argparse.Namespace) -> Answers:
    work, show = options.work / dataset.version, ProgressLine()
    request = EncoderRequest(choice.name, choice.weights)
    masks = PresenceCache(work / "masks")
    # A first look has an index of its own: what is no subject of the data set is removed from an index.
    index = work / (f"index-of-{options.subjects}" if options.subjects else "index")
    archive = build_archive(dataset, index, request, masks, options.jobs, show)
    try:
        for name, reason in archive.left_out.items():
            print(f"{name}: left out: {reason}", file=sys.stderr)
            dataset.left_out[name] = reason
        # Answers hold for this encoder, score and database, and for this version of the engine.
        score = str(SearchOptions().parts)
        names = "\n".join([__version__, score, archive.retriever.recipe.to_json(), *sorted(archive.records)])
        folder = work / "answers" / hashlib.sha256(names.encode()).hexdigest()[:16]
        return ask_everything(archive, folder, show)
    finally:
        archive.retriever.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.totalsegmentator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="the data set's folder, with meta.csv")
    parser.add_argument("--encoders", nargs="+", default=[SHIPPED], metavar="NAME[=FILE]", help=f"(default: {SHIPPED})")
    parser.add_argument("--subjects", type=int, metavar="N", help="only so many subjects, for a first look")
    parser.add_argument("--jobs", type=int, default=2, help="processes that read masks (default: %(default)s)")
    build = _ROOT / "build" / "totalsegmentator"
    parser.add_argument("--work", type=Path, default=build, help="where index and answers are kept")
    parser.add_argument("--results", type=Path, default=build / "RESULTS.md", help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.subjects is not None and options.subjects < 2:
        parser.error(f"--subjects {options.subjects}: expected 2 or more, one for the database and one that queries")
    options.work = options.work.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
