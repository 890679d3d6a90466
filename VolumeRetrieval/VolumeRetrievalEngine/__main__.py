"""python -m VolumeRetrievalEngine"""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; returns its exit code."""
    try:
        from .commands import main as run_command  # here, because Ctrl-C may come during the second this takes

        return run_command()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
