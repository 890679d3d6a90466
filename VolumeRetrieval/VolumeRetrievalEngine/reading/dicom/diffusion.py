"""b-value and gradient direction of a diffusion-weighted slice, standard or as the makers wrote them before."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from .private_elements import PrivateElement
from .values import first_item, numbers, raw, text


@dataclass(frozen=True)
class _Maker:
    """Where a maker keeps the b-value and the direction: in one element, or in three."""

    b_value: PrivateElement
    direction: tuple[PrivateElement, ...]


_SIEMENS, _GE_ACQUISITION, _PHILIPS = "SIEMENS MR HEADER", "GEMS_ACQU_01", "Philips MR Imaging DD 001"
#: By a part of Manufacturer, upper case.
_MAKERS = {
    "SIEMENS": _Maker(PrivateElement(0x0019100C, _SIEMENS), (PrivateElement(0x0019100E, _SIEMENS),)),
    "GE MEDICAL": _Maker(
        PrivateElement(0x00431039, "GEMS_PARM_01"),
        tuple(PrivateElement(tag, _GE_ACQUISITION) for tag in (0x001910BB, 0x001910BC, 0x001910BD)),
    ),
    "PHILIPS": _Maker(
        PrivateElement(0x20011003, "Philips Imaging DD 001"),
        tuple(PrivateElement(tag, _PHILIPS) for tag in (0x200510B0, 0x200510B1, 0x200510B2)),
    ),
    "UIH": _Maker(
        PrivateElement(0x00651009, "Image Private Header"), (PrivateElement(0x00651037, "Image Private Header"),)
    ),
}

#: What :func:`diffusion_text` needs of an instance.
DIFFUSION_ELEMENTS: tuple[str | int, ...] = (
    "Manufacturer",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "DiffusionGradientDirectionSequence",
    *(tag for maker in _MAKERS.values() for one in (maker.b_value, *maker.direction) for tag in one.elements),
)


def diffusion_text(data_set: Dataset) -> str:
    """ "b=1000 direction 0.7 0.7 0": empty where no b-value is given.

    `data_set` is the instance, or the MR Diffusion Sequence's item of a frame (PS3.3 C.8.13.5.9).
    """
    b_value = numbers(data_set, "DiffusionBValue", 1)
    gradient = first_item(data_set, "DiffusionGradientDirectionSequence") or data_set
    direction = numbers(gradient, "DiffusionGradientOrientation", 3)
    manufacturer = text(data_set, "Manufacturer").upper()
    maker = next((found for name, found in _MAKERS.items() if name in manufacturer), None)
    if maker is not None:
        b_value = b_value or _private_b_value(data_set, maker.b_value)
        direction = direction or _private_direction(data_set, maker.direction)
    if b_value is None:
        return ""
    if direction is None or not any(direction):
        return f"b={b_value[0]:.6g}"
    return f"b={b_value[0]:.6g} direction " + " ".join(f"{one:.3g}" for one in direction)


def _private_b_value(data_set: Dataset, element: PrivateElement) -> tuple[float] | None:
    """GE writes four numbers, the first of them the b-value, to which some versions add 1e9."""
    tag = element.tag(data_set)
    value = raw(data_set, tag)
    if isinstance(value, bytes) and b"\\" in value:
        value = value.decode("ascii", "ignore").split("\\")
    if isinstance(value, bytes):
        value = numbers(data_set, tag, 1)
    try:
        first = value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value
        return (float(first) % 1e9,)
    except (TypeError, ValueError, IndexError):
        return None


def _private_direction(data_set: Dataset, elements: tuple[PrivateElement, ...]) -> tuple[float, ...] | None:
    if len(elements) == 1:
        return numbers(data_set, elements[0].tag(data_set), 3)
    found = [numbers(data_set, element.tag(data_set), 1) for element in elements]
    return None if any(one is None for one in found) else tuple(one[0] for one in found if one)
