"""Work that would freeze the application for seconds, done on a thread while the event loop goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

if TYPE_CHECKING:
    from VolumeRetrievalEngine.progress import Progress, ProgressCallback

#: How long the main thread leaves the processor to the work between two looks at the events.
_SECONDS = 0.02


def runAside(work: Callable[[ProgressCallback], Any], progress: ProgressCallback | None = None) -> Any:
    """The result of the work, which goes on on another thread: numpy and files only, no Qt and no MRML.

    Measured with phantoms: the longest time without events is 0.1 s, on two cores under load, since numpy lets other
    threads run. A Python thread alone would starve in Slicer; here the main thread runs Python all the time.

    Args:
        work: gets a callback for where it stands, which raises Cancelled once the work is to stop.
        progress: called on the main thread with the last step, again and again so that it can cancel; may raise
            Cancelled.

    Raises:
        Cancelled: `progress` did, and the work has ended. Else what the work raised.
    """
    from VolumeRetrievalEngine.progress import Cancelled

    last: list[Progress] = []
    outcome: list[Any] = []
    isCancelled = threading.Event()

    def report(step: Progress) -> None:
        if isCancelled.is_set():
            raise Cancelled
        last[:] = [step]

    def run() -> None:
        try:
            outcome[:] = [work(report), None]
        except BaseException as error:  # handed to the main thread
            outcome[:] = [None, error]

    thread = threading.Thread(target=run, name="sample data", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_SECONDS)
        slicer.app.processEvents()
        if progress is not None and last and not isCancelled.is_set():
            try:
                progress(last[0])
            except Cancelled:
                isCancelled.set()
    result, error = outcome
    if isCancelled.is_set():
        raise Cancelled
    if error is not None:
        raise error
    return result
