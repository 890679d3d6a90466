"""Where a network runs and in which precision, each with a reason to show."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import EncoderError, MissingPackageError

if TYPE_CHECKING:
    import torch

#: The variable by which a command says how many batches to embed at once.
CONCURRENT_CALLS = "VOLUMERETRIEVAL_CONCURRENT_CALLS"

FLOAT32, BFLOAT16, FLOAT16 = "float32", "bfloat16", "float16"
#: What can be asked for.
PRECISIONS = ("auto", FLOAT32, BFLOAT16, FLOAT16)


def available_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def concurrent_calls() -> int:
    """How many batches an indexing run embeds at once on the CPU, each on one thread; 1 outside of such a run.

    Threads that share the work on one batch wait for each other after every layer: where other programs use the cores,
    too, two took twice as long as one (docs/COMMAND_LINE.md). Threads with a batch of their own do not wait.
    """
    asked = os.environ.get(CONCURRENT_CALLS, "")
    return max(1, int(asked)) if asked.isdecimal() else 1


def choose_device(asked: str | None = None) -> tuple[str, str]:
    """Where to run, and why: as asked, else CUDA, MPS (Apple), CPU, whichever works first.

    Raises:
        EncoderError: the device that was asked for is not there.
    """
    torch = require_torch("a network")
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked:
        kind, colon, number = asked.partition(":")
        many = torch.cuda.device_count() if kind == "cuda" else 1
        if not found.get(kind) or (colon and not (number.isdecimal() and int(number) < many)):
            usable = ", ".join(name for name, there in found.items() if there)
            raise EncoderError(f"device {asked!r} is not available here; available: {usable}")
        return asked, "as asked"
    broken = ""
    for kind, title in (("cuda", "CUDA"), ("mps", "Apple's Metal")):
        if not found[kind]:
            continue
        if problem := _problem_of(kind):
            broken += f"{title} is there but does not work ({problem}); "
            continue
        name = f" ({torch.cuda.get_device_name(0)})" if kind == "cuda" else ""
        return kind, f"{broken}{title} is available{name}"
    if broken:
        return "cpu", broken.removesuffix("; ")
    built = "is not built with CUDA" if torch.version.cuda is None else "finds no CUDA device"
    return "cpu", f"this torch {built}, and Apple's Metal is not available"


def choose_precision(asked: str | None, device: str) -> tuple[str, str]:
    """What a network computes in on a device, and why: as asked, else what is fast there and exact enough.

    Without a reason ("") it is the usual one. The weights stay float32, and what needs the range or the digits is
    computed in it (autocast). On Metal the gain is small, and a CPU without instructions for it is slower in bfloat16
    than in float32: there it has to be asked for.

    Raises:
        EncoderError: no such precision.
    """
    if asked not in (None, *PRECISIONS):
        raise EncoderError(f"precision {asked!r}: expected one of {', '.join(PRECISIONS)}")
    if asked not in (None, "auto"):
        return asked, "as asked"
    if not device.startswith("cuda"):
        return FLOAT32, ""
    torch = require_torch("a network")
    with torch.cuda.device(device):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return BFLOAT16, "this graphics card computes fast in it"
        # Volta and Turing; before those, float16 is slower than float32 on most cards.
        if torch.cuda.get_device_capability()[0] >= 7:
            return FLOAT16, "this graphics card computes fast in it, and not in bfloat16"
    return FLOAT32, "this graphics card is not faster in another"


def autocast(device: str, precision: str) -> torch.autocast:
    """The context in which a network computes in this precision (not float32) on this device."""
    torch = require_torch("a network")
    return torch.autocast(device.partition(":")[0], dtype=getattr(torch, precision))


def free_memory(device: str) -> int | None:
    """Bytes that a device can still give; None where that cannot be asked."""
    torch = require_torch("a network")
    if not device.startswith("cuda"):
        return None
    with torch.cuda.device(device):
        return torch.cuda.mem_get_info()[0]


def forget_peak_memory(device: str) -> None:
    """Start a new measurement of :func:`peak_memory`."""
    torch = require_torch("a network")
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str) -> int:
    """The most bytes that torch had in use since :func:`forget_peak_memory`; 0 where that is not known."""
    torch = require_torch("a network")
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else 0


def wait_for(device: str) -> None:
    """Until the device has done what it was given."""
    torch = require_torch("a network")
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device.startswith("mps"):
        torch.mps.synchronize()


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a type for it; MPS and the CPU only say so."""
    torch = require_torch("a network")
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in said for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )


def release_memory(device: str) -> None:
    """Give back what torch keeps for itself, so that a smaller batch finds it in one piece."""
    torch = require_torch("a network")
    release: Callable[[], None] | None = {"cuda": torch.cuda.empty_cache, "mps": torch.mps.empty_cache}.get(
        device.partition(":")[0]
    )
    if release is not None:
        release()


def require_torch(purpose: str) -> Any:
    """The torch package; MissingPackageError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("torch", purpose) from error
    return torch


def last_line(error: Exception) -> str:
    """What torch says at the end of its many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _problem_of(device: str) -> str:
    """Why a device that is there cannot compute (a card that this torch has no code for, a driver too old); ""."""
    torch = require_torch("a network")
    try:
        (torch.ones(8, device=device) * 2).sum().item()
    except (RuntimeError, AssertionError) as error:
        return last_line(error)
    return ""
