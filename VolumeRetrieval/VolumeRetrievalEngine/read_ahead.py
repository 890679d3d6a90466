"""Reading and slicing on a thread of their own, a few batches ahead of the encoder.

At most two volumes are in memory, however large the archive: the one being embedded and the one being read. What the
reading thread makes of a volume waits in a bounded queue.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .errors import NotAVolumeError, UnreadableFileError, VolumeRetrievalError
from .preprocessing import Stack, Transform, chain, preprocess
from .reading import Skipped, VolumeSource
from .recipe import Recipe
from .volume import Attributes, Volume

logger = logging.getLogger(__name__)

#: Makes one callable of the preprocessing's steps; networks of MONAI bring `monai.transforms.Compose`.
Compose = Callable[[Sequence[Transform]], Transform]

_VOLUMES_IN_MEMORY = 2
_BATCHES_AHEAD = 4
_BATCH_SIZE = 32


@dataclass
class PreparedVolume:
    """A volume on its way to the encoder: everything about it but its voxels, and its slices as they become ready.

    Attributes:
        attributes, notes: of the volume as read, which can say more than its headers alone did.
        batches: iterator of float32 [b, 3, size, size]; to be read once. Raises what reading raised.
        thumbnails: one JPEG for each kept slice.
    """

    source: VolumeSource
    stack: Stack
    attributes: Attributes
    notes: tuple[str, ...]
    thumbnails: list[bytes]
    batches: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))


@dataclass(frozen=True)
class _Opened:
    volume: PreparedVolume


@dataclass(frozen=True)
class _Batch:
    images: np.ndarray


@dataclass(frozen=True)
class _Closed:
    """No more batches of this volume; with an error if that is why."""

    error: Exception | None = None


@dataclass(frozen=True)
class _Finished:
    """No more volumes."""


class _Abandoned(Exception):
    """The consumer has gone; ends the reading thread."""


class ReadAhead:
    """Iterates over the sources in order: a PreparedVolume for each that could be read, else a Skipped.

    Use as a context manager: leaving it ends the reading thread, wherever it is.
    """

    def __init__(self, sources: Sequence[VolumeSource], recipe: Recipe, compose: Compose = chain):
        self._sources = list(sources)
        self._recipe = recipe
        self._compose = compose
        self._queue: queue.Queue = queue.Queue(maxsize=_BATCHES_AHEAD)
        self._room = threading.Semaphore(_VOLUMES_IN_MEMORY)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        self._room.release()
        while self._thread.is_alive():
            try:  # makes room for a thread that waits to put something
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[PreparedVolume | Skipped]:
        while not isinstance(message := self._queue.get(), _Finished):
            if isinstance(message, _Opened):
                message.volume.batches = self._batches()
                yield message.volume
                for _ in message.volume.batches:  # whatever the consumer left unread
                    pass
            elif isinstance(message, Skipped):
                yield message
            del message
            self._room.release()

    def _batches(self) -> Iterator[np.ndarray]:
        while not isinstance(message := self._queue.get(), _Closed):
            yield message.images
        if message.error is not None:
            raise message.error

    # Everything below runs on the reading thread.

    def _run(self) -> None:
        try:
            for source in self._sources:
                self._room.acquire()
                if self._abandoned.is_set():
                    raise _Abandoned
                self._produce(source)
            self._put(_Finished())
        except _Abandoned:
            logger.debug("reading ahead was abandoned")

    def _produce(self, source: VolumeSource) -> None:
        try:
            volume = source.read()
            stack = preprocess(volume, self._recipe)
            thumbnails = stack.thumbnails()
        except NotAVolumeError as error:
            return self._put(Skipped(source.path, error.reason, failed=False))
        except UnreadableFileError as error:
            return self._put(Skipped(source.path, error.reason, failed=True))
        except Exception as error:  # one bad file must not end the archive's run
            logger.exception("could not read %s", source.path)
            return self._put(Skipped(source.path, _in_words(error), failed=True))
        self._put(_Opened(_prepared(source, volume, stack, thumbnails)))
        del volume
        try:
            for images in stack.images(batch_size=_BATCH_SIZE, compose=self._compose):
                self._put(_Batch(images))
        except _Abandoned:
            raise
        except Exception as error:
            return self._put(_Closed(error))
        return self._put(_Closed())

    def _put(self, message: object) -> None:
        while not self._abandoned.is_set():
            try:
                return self._queue.put(message, timeout=0.1)
            except queue.Full:
                continue
        raise _Abandoned


def _prepared(source: VolumeSource, volume: Volume, stack: Stack, thumbnails: list[bytes]) -> PreparedVolume:
    return PreparedVolume(source, stack, volume.attributes, volume.notes, thumbnails)


def _in_words(error: Exception) -> str:
    """Our own errors explain themselves; of any other the type is named too."""
    if isinstance(error, VolumeRetrievalError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory to read it"
    return f"{type(error).__name__}: {error}"
