"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

#: The project's real volumes and weights lie beside the checkout (or where this variable says), never inside it.
SHARED = Path(os.environ.get("VOLUMERETRIEVAL_SHARED", Path(__file__).resolve().parents[2] / "shared"))

# A shell lets what it starts in the background ignore Ctrl-C; the children that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real volumes (data/) and weights (weights/); the test is skipped where it is absent."""
    if not (SHARED / "data" / "manifest.csv").is_file():
        pytest.skip(f"needs the shared volumes, which are not at {SHARED} (set VOLUMERETRIEVAL_SHARED)")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that ask for the shared volumes carry the marker, so that they can be left out by name."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs_shared)
