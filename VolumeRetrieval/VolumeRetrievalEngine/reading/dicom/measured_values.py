"""From stored values to what was measured: modality LUT or rescale, and padding that is no measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from .functional_groups import frame_groups, rescale_of
from .stored_values import Bits, StoredFrame, UndecodableError
from .values import first_item, numbers, raw, text, whole


def measured_values(data_set: Dataset) -> Callable[[StoredFrame, int], np.ndarray]:
    """A function of a frame and its number that gives float64 [j, i], NaN where it is padding.

    UndecodableError if the header says nothing usable.
    """
    padding = Padding.of(data_set)
    look_up = _look_up_table(data_set)
    rescales = _rescales(data_set)

    def measured(frame: StoredFrame, number: int) -> np.ndarray:
        if look_up is not None:
            values = look_up(frame.values)
        else:
            slope, intercept = rescales[number if len(rescales) > 1 else 0]
            values = frame.values * slope + intercept
        return values if padding is None else np.where(padding.marks(frame), np.nan, values)

    return measured


@dataclass(frozen=True)
class Padding:
    """Stored values from `low` to `high` are padding (PS3.3 C.7.5.1.1.2).

    Attributes:
        of_cells: they do not fit the stored bits, so whole cells hold them (as unsigned numbers).
    """

    low: float
    high: float
    of_cells: bool = False

    @classmethod
    def of(cls, data_set: Dataset) -> Padding | None:
        """PixelPaddingValue and PixelPaddingRangeLimit, which may be written in the wrong sign; None without them."""
        for prefix in ("Float", "DoubleFloat"):
            if f"{prefix}PixelData" in data_set:
                found = [numbers(data_set, f"{prefix}PixelPadding{one}", 1) for one in ("Value", "RangeLimit")]
                ends = [one[0] for one in found if one]
                return cls(min(ends), max(ends)) if found[0] else None
        bits = Bits.of(data_set)
        value, limit = (_whole(data_set, f"PixelPadding{one}", bits) for one in ("Value", "RangeLimit"))
        if value is None:
            return None
        ends = [value, value if limit is None else limit]
        lowest, highest = bits.range
        if all(lowest <= end <= highest for end in ends):
            return cls(min(ends), max(ends))
        cells = [end % (1 << bits.allocated) for end in ends]
        return cls(min(cells), max(cells), of_cells=True)

    def marks(self, frame: StoredFrame) -> np.ndarray:
        """bool [j, i]: the pixels that are padding."""
        values = frame.cells if self.of_cells else frame.values
        if values is None:
            return np.zeros(frame.values.shape, bool)
        return (values >= self.low) & (values <= self.high)


def _whole(data_set: Dataset, keyword: str, bits: Bits) -> int | None:
    """In the sign of the pixels: a writer that takes -2000 for an unsigned number writes 63536."""
    value = raw(data_set, keyword)
    if isinstance(value, bytes) and len(value) in (2, 4):
        value = int.from_bytes(value, "little")
    found = numbers(data_set, keyword, 1) if not isinstance(value, int) else (float(value),)
    if found is None:
        return None
    number = int(found[0]) % (1 << bits.allocated)
    return number - (1 << bits.allocated) if bits.signed and number >= 1 << (bits.allocated - 1) else number


def _rescales(data_set: Dataset) -> list[tuple[float, float]]:
    """(slope, intercept) of every frame, of its functional groups or of the instance; one if all have the same."""
    own = _usable(numbers(data_set, "RescaleSlope", 1)), (numbers(data_set, "RescaleIntercept", 1) or (0.0,))[0]
    found = [rescale_of(groups) for groups in frame_groups(data_set)]
    if len(found) != max(whole(data_set, "NumberOfFrames", 1), 1):
        return [own]
    return [
        (own[0] if slope is None else _usable((slope,)), own[1] if intercept is None else intercept)
        for slope, intercept in found
    ]


def _usable(slope: tuple[float, ...] | None) -> float:
    """A slope of 0 would leave nothing of the image: GDCM, and so Slicer, reads it as 1."""
    return slope[0] if slope and slope[0] else 1.0


def _look_up_table(data_set: Dataset) -> Callable[[np.ndarray], np.ndarray] | None:
    """The modality LUT (PS3.3 C.11.1.1), None without one. pydicom's has no negative HU, and trusts the header."""
    item = first_item(data_set, "ModalityLUTSequence")
    if item is None:
        return None
    descriptor = numbers(item, "LUTDescriptor", 3)
    data = raw(item, "LUTData")
    if descriptor is None or data is None:
        raise UndecodableError("its modality LUT has no usable LUTDescriptor or LUTData")
    count, first, width = (int(one) for one in descriptor)
    count = count % 65536 or 65536
    if whole(data_set, "PixelRepresentation") == 1 and first >= 32768:
        first -= 65536
    if isinstance(data, bytes):
        order = "<" if data_set.original_encoding[1] is not False else ">"
        data = np.frombuffer(data, "u1" if width <= 8 and len(data) < 2 * count else f"{order}u2")
    entries = np.atleast_1d(np.asarray(data)).astype(np.int64) & 0xFFFF
    if len(entries) < count or not 1 <= width <= 16:
        raise UndecodableError(f"its modality LUT has {len(entries)} entries of {width} bits, but announces {count}")
    entries = entries[:count]
    if width == 16 and text(item, "ModalityLUTType").upper() == "HU":
        entries = np.where(entries >= 32768, entries - 65536, entries)  # HU are negative in air
    values = entries.astype(np.float64)
    return lambda stored: values[np.clip(stored.astype(np.int64) - first, 0, count - 1)]
