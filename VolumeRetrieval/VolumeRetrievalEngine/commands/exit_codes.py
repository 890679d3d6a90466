"""What a command's exit code says (2, wrong arguments, is argparse's)."""

from __future__ import annotations

DONE = 0
FAILED = 1
DAMAGED = 3
INTERRUPTED = 130  # as shells report a process that Ctrl-C ended
