"""`make demo`: an archive of phantom patients, indexed and searched with the commands that a user would type.

    python Testing/demo/demo.py [--folder demo] [--patients 12]

Writes <folder>/archive (DICOM series), <folder>/index, and the reports whole-volume.html and region.html.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from VolumeRetrievalEngine.phantoms import make_query, write_archive, write_dicom_series

_SEED = 20
_ORGAN = "liver"
#: Tells a folder that a demo may empty from any other.
_MARKER = ".written-by-the-demo"


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--patients", type=int, default=12)
    options = parser.parse_args()
    folder = options.folder
    started = time.monotonic()
    _make_empty(folder)

    _say(f"Phantom patients: {options.patients} in the archive, and one whom it does not hold")
    series = write_archive(folder / "archive", options.patients, seed=_SEED)
    query = make_query(seed=_SEED, organ=_ORGAN)
    write_dicom_series(query.scan, folder / "query")
    print(f"{len(series)} DICOM series in {folder / 'archive'}, the query in {folder / 'query'}")

    store = ["--store", str(folder / "index")]
    _say("Index the archive")
    _run("index", str(folder / "archive"), *store)

    _say("Which volumes look like this chest and abdomen?")
    whole = folder / "whole-volume.html"
    _run("search", str(folder / "query"), *store, "--top", "6", "--report", str(whole))

    _say(f"Which volumes hold what is at this patient's {_ORGAN}, and where?")
    region = folder / "region.html"
    box = "box=" + ",".join(f"{value:.1f}" for corner in query.box for value in corner)
    _run("search", str(folder / "query"), *store, "--region", box, "--top", "6", "--report", str(region))

    print(f"\nDone in {time.monotonic() - started:.0f} s. Open {whole} and {region} in a browser.")
    return 0


def _make_empty(folder: Path) -> None:
    """Remove what an earlier demo left in the folder; exits if it holds anything else, which may be a user's."""
    marker = folder / _MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        sys.exit(f"{folder}: holds files that no demo wrote; remove it, or choose another folder with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()


def _say(what: str) -> None:
    print(f"\n=== {what}", flush=True)


def _run(*arguments: str) -> None:
    """Run a command of the engine the way a user would, and show it."""
    print("$ " + shlex.join(["python", "-m", "VolumeRetrievalEngine", *arguments]), flush=True)
    subprocess.run([sys.executable, "-m", "VolumeRetrievalEngine", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
