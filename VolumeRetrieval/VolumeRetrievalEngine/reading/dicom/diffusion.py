"""b-value and gradient direction of a diffusion-weighted slice, standard or as the makers wrote them before."""

from __future__ import annotations

from pydicom.dataset import Dataset

from .values import first_item, numbers, raw, text

SIEMENS_B_VALUE, SIEMENS_DIRECTION = 0x0019100C, 0x0019100E
GE_B_VALUE, GE_DIRECTION = 0x00431039, (0x001910BB, 0x001910BC, 0x001910BD)
PHILIPS_B_VALUE, PHILIPS_DIRECTION = 0x20011003, (0x200510B0, 0x200510B1, 0x200510B2)

#: To be read from the header, besides DiffusionBValue and DiffusionGradientOrientation.
PRIVATE_TAGS = (
    SIEMENS_B_VALUE,
    SIEMENS_DIRECTION,
    GE_B_VALUE,
    *GE_DIRECTION,
    PHILIPS_B_VALUE,
    *PHILIPS_DIRECTION,
)


def diffusion_text(data_set: Dataset) -> str:
    """ "b=1000 direction 0.7 0.7 0": "" where no b-value is given.

    `data_set` is the instance, or the MR Diffusion Sequence's item of a frame (PS3.3 C.8.13.5.9).
    """
    b_value, direction = _standard(data_set)
    if b_value is None:
        b_value, direction = _private(data_set, text(data_set, "Manufacturer").upper())
    if b_value is None:
        return ""
    if direction is None or not any(direction):
        return f"b={b_value:.6g}"
    return f"b={b_value:.6g} direction " + " ".join(f"{one:.3g}" for one in direction)


def _standard(data_set: Dataset) -> tuple[float | None, tuple[float, ...] | None]:
    b_value = numbers(data_set, "DiffusionBValue", 1)
    gradient = first_item(data_set, "DiffusionGradientDirectionSequence") or data_set
    return (b_value[0] if b_value else None), numbers(gradient, "DiffusionGradientOrientation", 3)


def _private(data_set: Dataset, manufacturer: str) -> tuple[float | None, tuple[float, ...] | None]:
    if "SIEMENS" in manufacturer:
        b_value, direction = numbers(data_set, SIEMENS_B_VALUE, 1), numbers(data_set, SIEMENS_DIRECTION, 3)
    elif "GE MEDICAL" in manufacturer:
        b_value, direction = _ge_b_value(data_set), _components(data_set, GE_DIRECTION)
    elif "PHILIPS" in manufacturer:
        b_value, direction = numbers(data_set, PHILIPS_B_VALUE, 1), _components(data_set, PHILIPS_DIRECTION)
    else:
        return None, None
    return (b_value[0] if b_value else None), direction


def _ge_b_value(data_set: Dataset) -> tuple[float, ...] | None:
    """GE writes four numbers, the first of them the b-value, to which some versions add 1e9."""
    value = raw(data_set, GE_B_VALUE)
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore").split("\\")
    try:
        first = value[0] if isinstance(value, (list, tuple)) or hasattr(value, "__getitem__") else value
        return (float(first) % 1e9,)
    except (TypeError, ValueError, IndexError):
        return None


def _components(data_set: Dataset, tags: tuple[int, int, int]) -> tuple[float, ...] | None:
    found = [numbers(data_set, tag, 1) for tag in tags]
    return None if any(one is None for one in found) else tuple(one[0] for one in found if one)
