"""Volumes embedded by the workers of a Dask cluster, each volume a task."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..encoders.request import EncoderRequest
from ..errors import ClusterError
from ..indexing.embedding import Outcome
from ..reading import Skipped, VolumeSource
from ..recipe import Recipe
from .order import Order, carry_out, refusal

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

#: Volumes that are given out for each thread of the workers: one in work, one to go on with.
_IN_FLIGHT_PER_THREAD = 2
#: How often waiting looks whether it should stop.
_LOOK_SECONDS = 0.5
#: How long a cluster may be without workers. Jobs wait in queues; whoever does not want to wait stops the run.
_PATIENCE_SECONDS = 3600.0

_KILLED = (
    "ended the worker that embedded it, twice: it may need more memory than the workers have (docs/CLUSTER.md), or a "
    "library crashes on it"
)


class OnCluster:
    """See :class:`~..indexing.embedding.VolumeEmbedding`: out of order, as the workers finish.

    A bounded number of volumes is with the workers at any time, so that neither the scheduler nor this process grows
    with the archive. Those of a worker that dies are tried once more, one by one, so that none is blamed for another;
    whichever then ends its worker again is reported.
    """

    def __init__(self, client: Client, request: EncoderRequest):
        self._client = client
        self._request = request

    def embedded(
        self, sources: Sequence[VolumeSource], recipe: Recipe, tell: Callable[[VolumeSource], None]
    ) -> Generator[tuple[VolumeSource, Outcome], None, None]:
        """See :class:`VolumeEmbedding`.

        Raises:
            ClusterError: a worker differs from this computer, or the scheduler is gone. What was yielded stays.
        """
        if not sources:
            return
        order = Order.of(self._request, recipe)
        self._wait_for_workers(lambda: tell(sources[0]))
        self._check(order)
        with self._deaths_are_told():
            suspects = yield from self._all(sources, order, tell, _IN_FLIGHT_PER_THREAD * self._threads())
            killers = yield from self._all(suspects, order, tell, 1)
        for source in killers:
            yield source, Skipped(source.path, _KILLED, True, source.identity.series_uid)

    def _all(
        self, sources: Sequence[VolumeSource], order: Order, tell: Callable[[VolumeSource], None], limit: int
    ) -> Generator[tuple[VolumeSource, Outcome], None, list[VolumeSource]]:
        """Yields what was finished, and returns the sources that were with a worker when it died."""
        waiting, dead = deque(sources), []
        running: dict[Future, VolumeSource] = {}
        try:
            while waiting or running:
                while waiting and len(running) < limit:
                    source = waiting.popleft()
                    tell(source)
                    running[self._submit(order, source)] = source
                for future in self._finished(running, lambda: tell(next(iter(running.values())))):
                    source = running.pop(future)
                    outcome = self._outcome(future, source)
                    if outcome is None:
                        dead.append(source)
                        continue
                    if waiting:  # before the writer takes its time, so that no worker waits for it
                        following = waiting.popleft()
                        running[self._submit(order, following)] = following
                    yield source, outcome
        finally:
            self._client.cancel(list(running))
        return dead

    def _submit(self, order: Order, source: VolumeSource) -> Future:
        return self._client.submit(carry_out, order, source, pure=False, retries=0)

    def _finished(self, running: dict[Future, VolumeSource], look: Callable[[], None]) -> list[Future]:
        """The futures that are done, at least one; `look` is called while there is none, and may raise."""
        import distributed

        without_workers = time.monotonic()
        while True:
            try:
                with self._client.as_current():
                    return list(distributed.wait(list(running), _LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                look()
            except distributed.CancelledError as error:
                raise self._gone() from error
            if self._client.status != "running":
                raise self._gone()
            if self._threads():
                without_workers = time.monotonic()
            elif time.monotonic() - without_workers > _PATIENCE_SECONDS:
                raise ClusterError(f"the cluster has had no worker for {_PATIENCE_SECONDS / 60:.0f} minutes")

    def _outcome(self, future: Future, source: VolumeSource) -> Outcome | None:
        """What became of a volume; None if its worker died."""
        import distributed

        if future.status == "finished":
            return future.result()
        if future.status != "error":
            raise self._gone()
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            logger.debug("a worker died with %s", source.path)
            return None
        if isinstance(error, ClusterError | ImportError):
            raise ClusterError(f"a worker cannot embed: {error}") from error
        reason = f"could not be embedded: {type(error).__name__}"  # its text may quote the file
        return Skipped(source.path, reason, True, source.identity.series_uid)

    def _threads(self) -> int:
        return sum(self._client.nthreads().values())

    def _wait_for_workers(self, look: Callable[[], None]) -> None:
        """Until there is one; jobs of a batch system can take their time."""
        started = time.monotonic()
        while not self._threads():
            look()
            if time.monotonic() - started > _PATIENCE_SECONDS:
                raise ClusterError("the cluster has no workers; start some (docs/CLUSTER.md)")
            time.sleep(_LOOK_SECONDS)

    def _check(self, order: Order) -> None:
        """Refuse workers that would embed something else. Later ones are refused by their first volume."""
        answers: dict[str, Any] = self._client.run(refusal, order, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                raise ClusterError(
                    f"the worker {worker} cannot run the engine ({type(answer).__name__}: {answer}); install the same "
                    "version of VolumeRetrievalEngine on every worker"
                )
            if answer:
                raise ClusterError(f"the worker {worker} differs from this computer: {answer}")

    @contextmanager
    def _deaths_are_told(self) -> Iterator[None]:
        """Dask would give a dead worker's tasks to others, four times; we get them back at once, to try each alone."""
        before = self._client.run_on_scheduler(_allow_failures, count=0)
        try:
            yield
        finally:
            if self._client.status == "running":
                self._client.run_on_scheduler(_allow_failures, count=before)

    def _gone(self) -> ClusterError:
        return ClusterError(
            "the scheduler is gone; what was finished is stored, and the same command goes on from there"
        )


def _allow_failures(dask_scheduler: Any, count: int) -> int:
    """Runs on the scheduler; returns what it was."""
    before = dask_scheduler.allowed_failures
    dask_scheduler.allowed_failures = count
    return int(before)
