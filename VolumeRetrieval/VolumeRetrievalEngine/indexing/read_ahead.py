"""Reading and slicing on a thread of their own, a few batches ahead of the encoder.

One volume's voxels are in memory at a time, however large the archive: the reading thread lets go of a volume when the
last of its slices waits in the bounded queue, and only then reads the next. What the encoder works on are slices.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import NotAVolumeError, UnreadableFileError
from ..preprocessing import Stack, Transform, chain, preprocess
from ..preprocessing.plane_geometry import PlaneGeometry
from ..reading import Skipped, VolumeSource
from ..reading.reasons import reason_of
from ..recipe import Recipe
from ..volume import Attributes, SliceTable, Volume

logger = logging.getLogger(__name__)

#: Makes one callable of the preprocessing's steps; networks of MONAI bring `monai.transforms.Compose`.
Compose = Callable[[Sequence[Transform]], Transform]

#: Slices that are made and handed over at once, at least.
BATCH_SIZE = 32

_BATCHES_AHEAD = 4


@dataclass
class PreparedVolume:
    """A volume on its way to the encoder: everything about it but its voxels, and its slices as they become ready.

    Attributes:
        geometry: of the full stack; `table` has the slices that are kept of it.
        attributes, notes: of the volume as read, which can say more than its headers alone did.
        outlines: float32 [n, 4], where the body lies on the kept slices.
        thumbnails: one JPEG for each kept slice.
        batches: iterator of float32 [b, 3, size, size]; to be read once. UnreadableFileError if slicing fails.
    """

    source: VolumeSource
    geometry: PlaneGeometry
    table: SliceTable
    n_slices: int
    attributes: Attributes
    notes: tuple[str, ...]
    outlines: np.ndarray
    thumbnails: list[bytes]
    batches: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))


@dataclass(frozen=True)
class _Batch:
    images: np.ndarray


@dataclass(frozen=True)
class _EndOfVolume:
    """No more batches of this volume; with a reason if that is why."""

    failure: str = ""


@dataclass(frozen=True)
class _EndOfAll:
    """No more volumes; with an error if reading ahead itself broke down."""

    error: BaseException | None = None


class _Abandoned(Exception):
    """The consumer has gone; ends the reading thread."""


class ReadAhead:
    """Iterates over the sources in order: a PreparedVolume for each that could be read, else a Skipped.

    Use as a context manager: leaving it ends the reading thread, wherever it is.
    """

    def __init__(
        self, sources: Sequence[VolumeSource], recipe: Recipe, compose: Compose = chain, batch_size: int = BATCH_SIZE
    ):
        self._sources = list(sources)
        self._recipe = recipe
        self._compose = compose
        self._batch_size = batch_size
        self._queue: queue.Queue = queue.Queue(maxsize=_BATCHES_AHEAD)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        while self._thread.is_alive():
            self._thread.join(0.1)  # in steps, because Windows delivers no Ctrl-C to a thread that waits

    def __iter__(self) -> Iterator[PreparedVolume | Skipped]:
        while not isinstance(message := self._queue.get(), _EndOfAll):
            if isinstance(message, PreparedVolume):
                message.batches = self._batches(message.source.path)
                yield message
                for _ in message.batches:  # whatever the consumer left unread
                    pass
            elif isinstance(message, Skipped):
                yield message
        if message.error is not None:
            raise message.error

    def _batches(self, path: Path) -> Iterator[np.ndarray]:
        while not isinstance(message := self._queue.get(), _EndOfVolume):
            yield message.images
        if message.failure:
            raise UnreadableFileError(path, message.failure)

    # Everything below runs on the reading thread.

    def _run(self) -> None:
        try:
            for source in self._sources:
                self._produce(source)
            self._put(_EndOfAll())
        except _Abandoned:
            logger.debug("reading ahead was abandoned")
        except BaseException as error:  # or the consumer would wait for ever
            with contextlib.suppress(_Abandoned):
                self._put(_EndOfAll(error))

    def _produce(self, source: VolumeSource) -> None:
        try:
            volume = source.read()
            stack = preprocess(volume, self._recipe)
            prepared = _prepared(source, volume, stack)
            del volume
        except NotAVolumeError as error:
            return self._put(Skipped(source.path, error.reason, False, source.identity.series_uid))
        except Exception as error:  # one bad file must not end the archive's run
            return self._put(Skipped(source.path, reason_of(error, source.path), True, source.identity.series_uid))
        self._put(prepared)
        try:
            for images in stack.images(batch_size=self._batch_size, compose=self._compose):
                self._put(_Batch(images))
        except _Abandoned:
            raise
        except Exception as error:
            return self._put(_EndOfVolume(reason_of(error, source.path)))
        return self._put(_EndOfVolume())

    def _put(self, message: object) -> None:
        while not self._abandoned.is_set():
            try:
                return self._queue.put(message, timeout=0.1)
            except queue.Full:
                continue
        raise _Abandoned


def _prepared(source: VolumeSource, volume: Volume, stack: Stack) -> PreparedVolume:
    return PreparedVolume(
        source=source,
        geometry=stack.geometry,
        table=stack.table,
        n_slices=stack.n_slices,
        attributes=volume.attributes,
        notes=volume.notes,
        outlines=stack.outlines,
        thumbnails=stack.thumbnails(),
    )
