"""The indexing job: a process that indexes and ends."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _

from ..Values import Callbacks
from .ChildProcess import ProcessProtocol
from .EngineJob import EngineJob
from .EngineProcess import EngineCommand


class IndexingJob(EngineJob):
    """One run of `index --json-progress`. Whatever ends it, finished volumes are kept and the next run goes on."""

    def __init__(
        self,
        command: EngineCommand,
        answer: Callbacks,
        process: ProcessProtocol | None = None,
        cancelMilliseconds: int = 60000,
    ):
        """`answer.finished` gets what `index --json` prints. `cancelMilliseconds`: how long the volume that is being
        read when the job is cancelled may take; each is stored in one transaction, so ending it then loses nothing."""
        text = _(
            "Indexing ended unexpectedly ({problem}). What was finished is kept: update the index again to go on. "
            "The application log may say why."
        )
        super().__init__(command, "indexing", answer, text, process, cancelMilliseconds)

    def start(self, arguments: Sequence[str]) -> None:
        """Start it with these arguments of `index`."""
        super().start(["index", "--json-progress", *arguments])
