"""Where the slices of a volume lie, known without its voxels: what slice numbers mean, drawn and searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..preprocessing.plane_geometry import PlaneGeometry
from ..volume import SliceTable
from .oriented_box import OrientedBox
from .stack_frame import StackFrame

#: The two ends of a stack of each plane: slices are counted from the first to the second.
STACK_ENDS = {"axial": ("inferior", "superior"), "coronal": ("posterior", "anterior"), "sagittal": ("left", "right")}


@dataclass(frozen=True, eq=False)
class StackGeometry:
    """The full stack of slices of one plane, as a region's slice numbers count it.

    Slices ascend toward right, anterior or superior, whichever way the volume's voxels run. With gantry tilt, slices
    are shifted against each other: the box around the stack is at right angles to its slices and holds all of them.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        center: float64 [3], RAS mm, of the box around the stack.
        axes: float64 [3, 3], rows are right-handed unit vectors: two in the plane, then the slices' normal.
        size: float64 [3], mm, of the box along the axes, up to the outer borders of the voxels.
        positions: float64 [count], mm of each slice's middle along the normal, ascending.

    Example:
        >>> stack = StackGeometry.of((120, 512, 512), np.diag([-0.8, -0.8, 3.0, 1.0]))
        >>> stack.plane, stack.count, stack.ends
        ('axial', 120, ('inferior', 'superior'))
        >>> stack.slab(4, 7)  # slices 5 to 8, as people count
        box x -409.2 to 0.4, y -409.2 to 0.4, z 10.5 to 22.5 mm
    """

    plane: str
    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, shape: tuple[int, int, int], affine: np.ndarray, plane: str = "auto") -> StackGeometry:
        """The stack that the engine makes of a volume.

        Args:
            shape: (slices, rows, columns) of the volume's voxels [k, j, i].
            affine: float [4, 4], (i, j, k, 1) to RAS mm.
            plane: "axial", "coronal", "sagittal", or "auto" for the one the engine chooses.

        Raises:
            NotAVolumeError: the affine gives the axes no direction.
        """
        return cls.of_plane(PlaneGeometry.of(shape, affine, plane))

    @classmethod
    def of_plane(cls, geometry: PlaneGeometry, table: SliceTable | None = None) -> StackGeometry:
        """The stack of this plane; with the table of its (kept) slices, where irregular slices truly lie."""
        frame = StackFrame.of(geometry)
        count = geometry.shape[0]
        positions = frame.heights
        if table is not None and len(table):
            positions = _true_positions(count, float(geometry.affine[:3, 2] @ frame.normal), frame.normal, table)
        first = frame.columns / np.linalg.norm(frame.columns)
        second = np.cross(frame.normal, first)
        axes = np.stack([first, second, frame.normal])
        # Right-handed, and both in the direction in which columns and rows run as far as that goes.
        if second @ frame.rows < 0:
            axes[:2] *= -1
        box = OrientedBox.around(frame.corners(), axes)
        half = 0.5 * float(np.abs(geometry.affine[:3, 2] @ frame.normal))
        low, high = float(positions[0]) - half, float(positions[-1]) + half
        center = box.center + axes[2] * (0.5 * (low + high) - box.center @ axes[2])
        return cls(geometry.plane, center, axes, np.array([*box.size[:2], high - low]), positions)

    @property
    def count(self) -> int:
        """How many slices the full stack has."""
        return len(self.positions)

    @property
    def normal(self) -> np.ndarray:
        """float64 [3], the direction in which slices ascend."""
        return self.axes[2]

    @property
    def spacing(self) -> float:
        """mm between neighboring slices along the normal: the median, where they are irregular."""
        return float(np.median(np.diff(self.positions))) if self.count > 1 else float(self.size[2])

    @property
    def ends(self) -> tuple[str, str]:
        """Where the first and the last slice lie, for example ("inferior", "superior")."""
        return STACK_ENDS[self.plane]

    def slab(self, first: int, last: int) -> OrientedBox:
        """The box over slices `first` to `last`, 0-based, both included and as wide as the stack.

        It ends halfway to the neighboring slices. Numbers beyond the stack count as its ends.
        """
        first, last = (int(np.clip(number, 0, self.count - 1)) for number in (first, last))
        low, high = self._border(first), self._border(last + 1)
        center = self.center + self.normal * (0.5 * (low + high) - self.center @ self.normal)
        return OrientedBox(center, self.axes, np.array([*self.size[:2], high - low]))

    def nearest(self, point: np.ndarray) -> int | None:
        """The 0-based number of the slice nearest to a point (RAS mm); None beyond the stack's two ends."""
        position = float(np.asarray(point, dtype=np.float64) @ self.normal)
        if not self._border(0) <= position <= self._border(self.count):
            return None
        return int(np.abs(self.positions - position).argmin())

    def _border(self, number: int) -> float:
        """mm along the normal where slice `number` begins, and the one before it ends."""
        if 0 < number < self.count:
            return 0.5 * float(self.positions[number - 1] + self.positions[number])
        end = float(self.center @ self.normal)
        return end - 0.5 * float(self.size[2]) if number <= 0 else end + 0.5 * float(self.size[2])


def _true_positions(count: int, step: float, normal: np.ndarray, table: SliceTable) -> np.ndarray:
    """mm along the normal of every slice of the stack, from those slices of it that the table holds."""
    known = np.asarray(table.index, dtype=np.float64)
    heights = np.maximum.accumulate(np.asarray(table.origin, dtype=np.float64) @ normal)
    number = np.arange(count, dtype=np.float64)
    positions = np.interp(number, known, heights)
    before, behind = number < known[0], number > known[-1]
    positions[before] = heights[0] - (known[0] - number[before]) * step
    positions[behind] = heights[-1] + (number[behind] - known[-1]) * step
    return positions
