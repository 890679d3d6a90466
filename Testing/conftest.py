"""What every test may ask for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def the_cores_and_the_priority_that_were_there() -> Iterator[None]:
    """`index` run in this process gives up cores and priority for good: the next test has them back."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores, priority = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    yield
    if (os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)) != (cores, priority):
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # the thread has ended, or the account may not raise a priority
                os.sched_setaffinity(int(thread.name), cores)
                os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that ask for the shared volumes carry the marker, so that they can be left out by name."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs_shared)
