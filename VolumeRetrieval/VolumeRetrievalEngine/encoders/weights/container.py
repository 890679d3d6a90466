"""Whether a file can hold tensors at all, seen by how it begins: no torch is needed for that."""

from __future__ import annotations

from pathlib import Path

from ...errors import WeightsError

_ZIP = b"PK\x03\x04"  # torch.save since 1.6, and TorchScript
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))  # torch.save before that
_HEADER_BYTES = 8  # of safetensors: the length of the JSON that follows, little-endian
_LARGEST_HEADER = 100_000_000  # as the safetensors library allows


def require_container(file: Path) -> None:
    """WeightsError unless the file begins as PyTorch or safetensors write files of tensors."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEADER_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror})") from error
    if head.startswith((_ZIP, *_PICKLES)) or _is_safetensors(head):
        return
    raise WeightsError(f"{file}: holds no weights; expected a file of PyTorch (.pth, .pt) or safetensors")


def _is_safetensors(head: bytes) -> bool:
    return 2 <= int.from_bytes(head[:_HEADER_BYTES], "little") <= _LARGEST_HEADER and head[_HEADER_BYTES:] == b"{"
