"""Reading ahead: what comes out, in which order, how little is in memory, and that it always ends."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from VolumeRetrievalEngine.errors import NotAVolumeError, UnreadableFileError
from VolumeRetrievalEngine.indexing import read_ahead
from VolumeRetrievalEngine.indexing.read_ahead import PreparedVolume, ReadAhead
from VolumeRetrievalEngine.reading import Skipped, VolumeSource
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.volume import Attributes, Identity, SourceFiles, Volume

RECIPE = Recipe("descriptor", size=32)


@dataclass(frozen=True, repr=False)
class FakeSource(VolumeSource):
    """A volume that is made when it is read."""

    make: Callable[[], Volume]

    def read(self) -> Volume:
        return self.make()


def a_source(name: str, make: Callable[[], Volume]) -> FakeSource:
    return FakeSource(Identity(name, name), SourceFiles("root", (name,)), Attributes(), (), 1, Path(name), 5, make)


def a_volume(n_slices: int = 5, seed: int = 0) -> Volume:
    voxels = np.random.default_rng(seed).normal(0, 100, (n_slices, 16, 16))
    return Volume.from_array(voxels, np.diag([1.0, 1.0, 3.0, 1.0]), Attributes(modality="MR"))


def raising(error: BaseException) -> Callable[[], Volume]:
    def read() -> Volume:
        raise error

    return read


def test_the_volumes_come_in_order_with_all_their_slices() -> None:
    sources = [a_source(f"{number}", lambda number=number: a_volume(5 + 40 * number)) for number in range(3)]
    with ReadAhead(sources, RECIPE) as volumes:
        seen = [(one.source.path.name, sum(map(len, one.batches)), len(one.table)) for one in volumes]
    assert seen == [("0", 5, 5), ("1", 45, 45), ("2", 85, 85)]


def test_a_volume_that_is_not_looked_at_is_passed_over() -> None:
    sources = [a_source(f"{number}", lambda: a_volume(200)) for number in range(3)]
    with ReadAhead(sources, RECIPE) as volumes:
        assert [one.source.path.name for one in volumes] == ["0", "1", "2"]


def test_what_cannot_be_read_is_skipped_and_the_rest_goes_on() -> None:
    path = Path("a")
    sources = [
        a_source("a", raising(UnreadableFileError(path, "truncated"))),
        a_source("b", raising(NotAVolumeError("b", "no contrast"))),
        a_source("c", raising(MemoryError())),
        a_source("d", raising(OSError(5, "Input/output error"))),
        a_source("e", a_volume),
    ]
    with ReadAhead(sources, RECIPE) as volumes:
        *skipped, last = list(volumes)
    assert skipped == [
        Skipped(Path("a"), "truncated", failed=True),
        Skipped(Path("b"), "no contrast", failed=False),
        Skipped(Path("c"), "not enough memory to read it; close other programs, or save it smaller", failed=True),
        Skipped(
            Path("d"), "not readable: Input/output error; check the rights to it, the disk and the network", failed=True
        ),
    ]
    assert isinstance(last, PreparedVolume)


def test_the_text_of_an_unexpected_error_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """It may quote what is in the file: a name, for example."""
    caplog.set_level("DEBUG", "VolumeRetrievalEngine")  # main() of an earlier test may have set it
    sources = [a_source("a", raising(ValueError("Kirnberger^Ottilie is no number")))]
    with ReadAhead(sources, RECIPE) as volumes:
        (skipped,) = volumes
    assert skipped.failed
    assert "ValueError" in skipped.reason
    assert f"{Path(__file__).name}:" in skipped.reason
    assert "Kirnberger" not in skipped.reason + caplog.text
    assert "raising" in caplog.text or "read" in caplog.text  # where it happened can be seen


def test_slicing_that_fails_half_way_fails_this_volume_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = read_ahead.Stack.images

    def failing(self, *arguments, **options):
        for number, batch in enumerate(images(self, *arguments, **options)):
            if len(self) == 100 and number == 1:
                raise RuntimeError("no more")
            yield batch

    monkeypatch.setattr(read_ahead.Stack, "images", failing)
    sources = [a_source("a", lambda: a_volume(100)), a_source("b", a_volume)]
    done = []
    with ReadAhead(sources, RECIPE) as volumes:
        for one in volumes:
            try:
                done.append(sum(map(len, one.batches)))
            except UnreadableFileError as error:
                assert error.path == Path("a")
                assert "RuntimeError" in error.reason
    assert done == [5]


def test_a_reader_that_breaks_down_does_not_leave_the_consumer_waiting() -> None:
    sources = [a_source("a", a_volume), a_source("b", raising(KeyboardInterrupt()))]
    with pytest.raises(KeyboardInterrupt), ReadAhead(sources, RECIPE) as volumes:
        for one in volumes:
            list(one.batches)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_leaving_ends_the_reading_thread_wherever_it_is(taken: int) -> None:
    before = threading.active_count()
    sources = [a_source(f"{number}", lambda: a_volume(500)) for number in range(10)]
    with ReadAhead(sources, RECIPE) as volumes:
        for _, one in zip(range(taken), volumes, strict=False):
            next(one.batches)
    assert threading.active_count() == before


def test_at_most_two_volumes_are_in_memory_while_a_slow_encoder_works() -> None:
    alive: list[weakref.ref] = []
    most = 0

    def count() -> int:
        return sum(one() is not None for one in alive)

    def read(seed: int) -> Volume:
        nonlocal most
        volume = a_volume(20, seed)
        alive.append(weakref.ref(volume.voxels))
        most = max(most, count())
        return volume

    gc.collect()
    gc.disable()  # whoever keeps a volume alive until the garbage collector comes by keeps it too long
    try:
        sources = [a_source(f"{number}", lambda number=number: read(number)) for number in range(8)]
        with ReadAhead(sources, RECIPE) as volumes:
            for _ in volumes:  # its slices are left to be thrown away
                time.sleep(0.02)
                most = max(most, count())
        assert len(alive) == 8
        assert most <= 2
        assert count() == 0
    finally:
        gc.enable()


def test_a_volume_that_fails_is_let_go_too() -> None:
    alive: list[weakref.ref] = []

    def read() -> Volume:
        volume = a_volume(20)
        alive.append(weakref.ref(volume.voxels))
        volume.affine = np.zeros((4, 4))  # no geometry: preprocessing refuses it
        return volume

    gc.collect()
    gc.disable()
    try:
        with ReadAhead([a_source("a", read), a_source("b", read)], RECIPE) as volumes:
            assert [isinstance(one, Skipped) for one in volumes] == [True, True]
        assert [one() for one in alive] == [None, None]
    finally:
        gc.enable()
