"""What the header of an image file says, in values that were checked.

Headers are read here and not by ITK, whose readers end the process, or never come back, for some that are damaged. ITK
is only shown a header of ours, made of checked numbers, to tell how the axes lie (`itk_geometry.py`): as in Slicer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from ...errors import UnreadableFileError
from ...readable import readable_size
from ..memory import check_memory

#: Where a header gives no orientation.
NO_ORIENTATION = "no orientation in the file: its axes are taken for left, back and up"
#: Positions and spacings beyond this (a kilometer) are damage.
_FAR_MM = 1e6
#: No deflate stream holds more (https://zlib.net/zlib_tech.html).
_DEFLATE_RATIO = 1032
_MOST_DIMENSIONS = 16


class Encoding(Enum):
    """How voxels are written."""

    RAW = "raw"
    GZIP = "gzip"
    ZLIB = "zlib"
    BZIP2 = "bzip2"
    TEXT = "text"


@dataclass(frozen=True)
class VoxelData:
    """Where the voxels are.

    Attributes:
        files: each with as many bytes of voxels as the others, in the order of the slowest axis.
        start: where in each file they, or the compressed stream, begin; -1: they are its last bytes.
        inside: bytes to leave out at the beginning of a decompressed stream.
        lines: lines to leave out after `start`.
    """

    files: tuple[Path, ...]
    encoding: Encoding
    start: int = 0
    inside: int = 0
    lines: int = 0


@dataclass(frozen=True)
class ImageHeader:
    """A checked header.

    Attributes:
        path: of the header.
        sizes: voxels along i, j, k and further axes.
        value_type: of the stored values, with their byte order.
        data: where they are.
        geometry: a file that ITK reads for the axes of the first three dimensions, and its ending.
        components: values for each voxel; `components_last` if the axis of these is the slowest, not the fastest.
        slope, intercept: stored values are multiplied by the one, and the other is added.
        notes: what is odd about it.
    """

    path: Path
    sizes: tuple[int, ...]
    value_type: np.dtype
    data: VoxelData
    geometry: tuple[str, bytes]
    components: int = 1
    components_last: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Of the stored values."""
        return math.prod(self.sizes) * self.components * self.value_type.itemsize

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j and k."""
        i, j, k = (*self.sizes, 1, 1)[:3]
        return (i, j, k)

    def check_extent(self) -> None:
        """UnreadableFileError if the files are too short for the voxels, or the voxels too many for this computer."""
        data = self.data
        each = self.n_bytes // len(data.files)
        for file in data.files:
            try:
                size = file.stat().st_size
            except OSError as error:
                raise UnreadableFileError(self.path, f"its voxels in {file.name}: {error.strerror}") from error
            room = size - max(data.start, 0)
            if data.encoding is Encoding.RAW and room < each:
                raise UnreadableFileError(self.path, truncated(each - room))
            if data.encoding in (Encoding.GZIP, Encoding.ZLIB) and room * _DEFLATE_RATIO < each:
                raise UnreadableFileError(
                    self.path,
                    f"truncated or damaged: {room} bytes cannot hold the {readable_size(each)} of voxels that its "
                    "header announces; copy or export it again",
                )
        shape = self.sizes if self.components == 1 else (*self.sizes, self.components)
        check_memory(self.path, shape, self.value_type.itemsize)


def truncated(missing: int) -> str:
    """The reason for a file that lacks so many bytes."""
    return f"truncated: {missing} bytes are missing; copy or export it again"


def damaged(path: Path, ending: str) -> UnreadableFileError:
    """The error for a file that is not what its name says."""
    return UnreadableFileError(
        path, f"not readable as {ending}: damaged, truncated or another kind of file; copy or export it again"
    )


def wrong(path: Path, what: str) -> UnreadableFileError:
    """The error for a header that says something impossible. `what` quotes no text of it, which may name a patient."""
    return UnreadableFileError(path, f"damaged header: {what}; export it again")


def checked_sizes(path: Path, sizes: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The sizes, if each is positive and there are not too many."""
    if not 1 <= len(sizes) <= _MOST_DIMENSIONS or min(sizes) < 1:
        raise wrong(path, f"{name} is {' '.join(map(str, sizes[:8])) or 'empty'}, expected positive whole numbers")
    return sizes


def checked_numbers(path: Path, values: tuple[float, ...], name: str) -> tuple[float, ...]:
    """The values, if all are finite and could be millimeters in a patient."""
    if any(not math.isfinite(value) or abs(value) > _FAR_MM for value in values):
        raise wrong(path, f"{name} is {' '.join(f'{value:g}' for value in values[:12])}, expected millimeters")
    return values


def whole_numbers(path: Path, text: str, name: str) -> tuple[int, ...]:
    """The whole numbers in a text."""
    try:
        return tuple(int(word) for word in text.split())
    except ValueError:
        raise wrong(path, f"{name} is not given in whole numbers") from None


def one_whole_number(path: Path, text: str, name: str) -> int:
    """The whole number in a text."""
    values = whole_numbers(path, text, name)
    if len(values) != 1:
        raise wrong(path, f"{name} is not one whole number")
    return values[0]


def real_numbers(path: Path, text: str, name: str) -> tuple[float, ...]:
    """The numbers in a text, checked."""
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        raise wrong(path, f"{name} is not given in numbers") from None
    return checked_numbers(path, values, name)


def numbered_files(path: Path, pattern: str, numbers: range) -> list[Path]:
    """The files that a pattern such as "slice%03d.raw" names."""
    if len(numbers) > 100_000:
        raise wrong(path, f"it names {len(numbers)} files of voxels")
    if not re.fullmatch(r"[^%]*%(0?[1-9])?[di][^%]*", pattern):  # nothing that would make a name of any length
        raise wrong(path, "it names its files of voxels by something that is no pattern such as slice%03d.raw")
    return [path.parent / (pattern % number) for number in numbers]


def existing_files(path: Path, files: list[Path]) -> tuple[Path, ...]:
    """These files, if all are files."""
    for file in files:
        try:
            there = file.is_file()
        except (OSError, ValueError):  # a name that no system knows
            there = False
        if not there:
            kind = "is no file" if _exists(file) else "is not there"
            raise UnreadableFileError(
                path, f"its voxels should be in {_shown(file)}, which {kind}; copy it next to the header"
            )
    if not files:
        raise wrong(path, "it names no file of voxels")
    return tuple(files)


def _shown(file: Path) -> str:
    """The name of a file, if it looks like one: it comes from a header that may hold anything."""
    return file.name if re.fullmatch(r"[\w .()+-]{1,80}\.\w{1,8}", file.name) else "a file of another name"


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):
        return False
