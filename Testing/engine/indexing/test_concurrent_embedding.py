"""Batches that are embedded at once come back in order, and run on as many threads as were asked for."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from VolumeRetrievalEngine.encoders.networks.device import CONCURRENT_CALLS, concurrent_calls
from VolumeRetrievalEngine.encoders.radiology_resnet import onnx_backend
from VolumeRetrievalEngine.indexing.concurrent_embedding import embedded


class Meeting:
    """An encoder whose calls end only when so many are in work at once."""

    name, weights, device, precision, input_size, dimension = "meeting", "", "cpu", "float32", 4, 1

    def __init__(self, calls: int):
        self._barrier = threading.Barrier(calls)

    def embed(self, slices: np.ndarray) -> np.ndarray:
        self._barrier.wait(timeout=60)
        return slices[:, 0, 0, :1]


def batches(count: int) -> list[np.ndarray]:
    return [np.full((1 + number % 3, 3, 4, 4), number, np.float32) for number in range(count)]


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_batches_come_back_in_order_and_as_many_are_in_work_at_once(calls: int):
    made = list(embedded(batches(8), Meeting(calls), calls))
    assert [float(rows[0, 0]) for rows, _ in made] == list(range(8))
    assert [count for _, count in made] == [len(batch) for batch in batches(8)]
    assert all(len(rows) == count for rows, count in made)


def test_an_error_of_one_batch_is_raised():
    class Failing(Meeting):
        def embed(self, slices: np.ndarray) -> np.ndarray:
            if slices[0, 0, 0, 0] == 2:
                raise ValueError("no")
            return slices[:, 0, 0, :1]

    with pytest.raises(ValueError, match="no"):
        list(embedded(batches(5), Failing(1), 2))


def test_where_batches_are_embedded_at_once_each_is_on_one_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv(CONCURRENT_CALLS, raising=False)
    assert concurrent_calls() == 1
    everything = onnx_backend._usual_threads()
    for written, calls, threads in (("4", 4, 1), ("1", 1, everything), ("none", 1, everything)):
        monkeypatch.setenv(CONCURRENT_CALLS, written)
        assert (concurrent_calls(), onnx_backend._usual_threads()) == (calls, threads)
