"""The slices of a series that could be of one image: one orientation, matrix, pixel spacing and ImageType."""

from __future__ import annotations

from collections.abc import Sequence

from ..facts import SliceFacts

#: Direction cosines and pixel spacings (mm) that differ by less are the same; scanners round them differently.
_SAME_GEOMETRY = 1e-3
#: GE writes ADD as the fourth value for slices summed of thinner ones: other slices of the same stack (as in the
#: posterior fossa of a sequential head scan), not another image of it.
_PROCESSING_ONLY = frozenset({"ADD"})

#: What :func:`described` says about a stack, in this order.
STACK_CRITERIA = ("orientation", "matrix", "pixel spacing", "ImageType")


def stacks_of(slices: Sequence[SliceFacts], order: Sequence[int]) -> list[list[int]]:
    """Numbers of slices with one matrix, ImageType, orientation and pixel spacing, the latter two within rounding."""
    stacks: list[list[int]] = []
    for number in order:
        for members in stacks:
            if _same_stack(slices[members[0]], slices[number]):
                members.append(number)
                break
        else:
            stacks.append([number])
    return stacks


def described(one: SliceFacts) -> tuple[str, ...]:
    """What defines the stack of a slice, in words that do not depend on the other stacks."""
    cosines = " ".join(f"{value:.3f}".replace("-0.000", "0.000") for value in one.orientation)
    spacing = "x".join(f"{value:.3f}" for value in one.spacing)
    return cosines, f"{one.matrix[0]}x{one.matrix[1]}", spacing, "/".join(_kind(one))


def _same_stack(one: SliceFacts, other: SliceFacts) -> bool:
    if one.matrix != other.matrix:
        return False
    if one.image_type != other.image_type and _kind(one) != _kind(other):
        return False
    if one.orientation is other.orientation and one.spacing is other.spacing:
        return True
    pairs = zip((*one.orientation, *one.spacing), (*other.orientation, *other.spacing), strict=True)
    return all(abs(a - b) < _SAME_GEOMETRY for a, b in pairs)


def _kind(one: SliceFacts) -> tuple[str, ...]:
    """ImageType without what only says how a slice was summed up."""
    return tuple(value for number, value in enumerate(one.image_type) if number < 3 or value not in _PROCESSING_ONLY)
