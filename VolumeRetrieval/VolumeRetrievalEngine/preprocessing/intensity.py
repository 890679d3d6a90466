"""From HU or arbitrary units to three channels in [0, 1].

CT is shown in three windows at once, as a radiologist would look at it; everything else is clipped to robust
percentiles of the whole volume and repeated, so that a region of a volume has the gray values that the volume has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .padding import misleading_padding

#: Lung, soft tissue and bone in HU; the three channels of a CT slice.
CT_WINDOWS = ((-1000.0, 200.0), (-160.0, 240.0), (-200.0, 1000.0))

#: Percentiles of the whole volume that become 0 and 1 where values have no unit.
PERCENTILES = (0.5, 99.5)

#: Percentiles are taken over at most about this many voxels, evenly spread.
_SAMPLED_VOXELS = 1 << 18


@dataclass(frozen=True)
class IntensityRange:
    """What becomes which channel.

    Attributes:
        low, high: values are clipped to these before anything is averaged, so that metal and padding do not bleed.
            `low` is what air and padding are.
        windows: for each of three channels the values that become 0 and 1.
        hounsfield: whether values are HU, in which air and tissue are known.
        padding: a value that is air, too, wherever it is (padding.py); None if there is none.
        root: which root of the values, 0 for negative ones, the range and the windows are of. Of a PET's values the
            body is a small share of the hottest.
    """

    low: float
    high: float
    windows: tuple[tuple[float, float], ...]
    hounsfield: bool = False
    padding: float | None = None
    root: int = 1

    @property
    def thumbnail(self) -> int:
        """The channel to show: soft tissue."""
        return 1 if self.hounsfield else 0


def intensity_range(
    voxels: np.ndarray, modality: str, constant_is_air: bool = True, pet_root: int = 1
) -> IntensityRange:
    """The range of a whole volume: fixed in HU for CT, robust percentiles otherwise.

    Args:
        voxels: float32 [k, j, i]; NaN and infinities are left out.
        modality: DICOM modality; "CT" means that the values are HU.
        constant_is_air, pet_root: see Edition.
    """
    is_ct = modality == "CT"
    padding = misleading_padding(voxels, sampled(voxels), is_ct) if constant_is_air else None
    if is_ct:
        lows, highs = zip(*CT_WINDOWS, strict=True)
        return IntensityRange(min(lows), max(highs), CT_WINDOWS, True, padding)
    low, high = robust_range(voxels, padding)
    root = pet_root if modality == "PT" and high > 0 else 1
    low, high = rooted(np.array([low, high]), root).tolist()
    return IntensityRange(low, high, ((low, high),) * 3, False, padding, root)


def robust_range(voxels: np.ndarray, padding: float | None = None) -> tuple[float, float]:
    """The 0.5 and 99.5 percentiles; the extremes where those coincide; (v, v + 1) for a constant volume of v.

    Args:
        padding: a value that does not count.
    """
    values = sampled(voxels)
    if padding is not None:
        values = values[values != np.float32(padding)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def rooted(values: np.ndarray, root: int) -> np.ndarray:
    """This root of values; 0 for negative ones, and the values themselves for the first root."""
    return values if root == 1 else np.fmax(values, 0) ** (1 / root)


def sampled(voxels: np.ndarray) -> np.ndarray:
    """Evenly spread finite values of an array, float32 [m]; the same ones on every call."""
    flat = voxels.reshape(-1)
    step = max(1, flat.size // _SAMPLED_VOXELS)
    values = flat[:: step | 1]  # odd: an even step would keep meeting the same columns of a 512-matrix
    return values[np.isfinite(values)]


class ClipAboveAir:
    """Slices [n, rows, columns] in the volume's unit to float32 values above `low`; 0 is air, NaN and padding."""

    def __init__(self, values: IntensityRange):
        self.low, self.high = np.float32(values.low), np.float32(values.high)
        self.padding = None if values.padding is None else np.float32(values.padding)
        self.root = values.root

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        clipped = np.fmax(
            rooted(slices, self.root), self.low, dtype=np.float32
        )  # fmax, unlike maximum, prefers the number to NaN
        np.minimum(clipped, self.high, out=clipped)
        clipped -= self.low
        if self.padding is not None:
            clipped[slices == self.padding] = 0.0
        return clipped


class WindowToChannels:
    """Values above air [n, h, w] to channels float32 [n, 3, h, w] in [0, 1]."""

    def __init__(self, values: IntensityRange):
        self.windows = [(low - values.low, high - low) for low, high in values.windows]
        self.repeated = len(set(values.windows)) == 1

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        channels = np.empty((len(slices), len(self.windows), *slices.shape[1:]), dtype=np.float32)
        for channel, (offset, width) in enumerate(self.windows):
            if self.repeated and channel:
                channels[:, channel] = channels[:, 0]
                continue
            shown = channels[:, channel]
            np.subtract(slices, np.float32(offset), out=shown)
            shown *= np.float32(1.0 / width)
            np.clip(shown, 0.0, 1.0, out=shown)
        return channels
