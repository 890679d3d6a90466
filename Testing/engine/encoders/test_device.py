"""Where a network runs, and in which precision, on machines that this one is not."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from VolumeRetrievalEngine.encoders.networks.device import choose_device, choose_precision, is_out_of_memory
from VolumeRetrievalEngine.errors import EncoderError

torch = pytest.importorskip("torch")


@pytest.fixture
def a_card(monkeypatch):
    """Makes torch believe in a graphics card, given whether it has bfloat16 and its compute capability."""

    def make(has_bfloat16: bool, capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *device: "A Card")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bfloat16)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: capability)

    return make


@pytest.mark.parametrize(
    ("has_bfloat16", "capability", "precision"),
    [(True, (9, 0), "bfloat16"), (False, (7, 5), "float16"), (False, (6, 1), "float32")],
)
def test_a_card_computes_in_what_it_is_fast_in(a_card, has_bfloat16, capability, precision):
    a_card(has_bfloat16, capability)
    found, reason = choose_precision(None, "cuda")
    assert found == precision
    assert "card" in reason
    assert choose_precision("float32", "cuda") == ("float32", "as asked")


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_other_devices_compute_in_float32_unless_asked(device):
    assert choose_precision("auto", device) == ("float32", "")
    assert choose_precision("bfloat16", device) == ("bfloat16", "as asked")


def test_a_card_that_works_is_taken_by_name(a_card, monkeypatch):
    a_card(True, (9, 0))
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *shape, device: ones(*shape))
    assert choose_device() == ("cuda", "CUDA is available (A Card)")


def test_a_card_that_does_not_work_is_left_with_the_reason(a_card, monkeypatch):
    a_card(True, (12, 0))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    def no_kernel(*shape: int, device: str) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(torch, "ones", no_kernel)
    device, reason = choose_device()
    assert device == "cpu"
    assert reason.startswith("CUDA is there but does not work (CUDA error: no kernel image")


@pytest.mark.parametrize("device", ["cpu:", "cpu:one", "cpu:²", "gpu", "cuda:7"])
def test_a_device_that_is_not_there_is_refused_by_name(device):
    with pytest.raises(EncoderError, match=f"device '{device}' is not available here; available: .*cpu"):
        choose_device(device)


def test_running_out_of_memory_is_told_from_other_errors():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
