"""python -m VolumeRetrievalEngine"""

from __future__ import annotations

import os
import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; returns its exit code."""
    if sys.argv[1:2] == ["index"]:
        # Read when numpy is loaded, below. `index` keeps off some of the cores, and more threads than cores wait for
        # each other in turns: on two cores that took three times as long. Reader and network run side by side already.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from .commands import main as run_command  # here, because Ctrl-C may come during the second this takes

        return run_command()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
