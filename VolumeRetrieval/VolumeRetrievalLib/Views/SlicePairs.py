"""Which slice of the query belongs to which slice of each result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class StackRows:
    """The slices of a volume that the engine compared.

    Attributes:
        positions: float [n], mm along the stack, ascending.
        numbers: int [n], which slice of the full stack each is, 0-based.
        spacing: mm between neighboring slices of the full stack.
        count: slices of the full stack.
    """

    positions: np.ndarray
    numbers: np.ndarray
    spacing: float
    count: int

    def row(self, position: float) -> int:
        """The row nearest to a position in mm."""
        return int(np.abs(self.positions - position).argmin())

    def holds(self, position: float) -> bool:
        """Whether a slice that was compared is at this position, or one that stands for it in a thinned stack."""
        steps, jumps = np.diff(self.positions), np.diff(self.numbers)
        # Where nothing but air is shown, more slices are left out than thinning leaves out.
        thinned = steps[(jumps <= 2 * np.median(jumps)) | (steps <= 2 * np.median(steps))] if len(steps) else steps
        step = max(self.spacing, float(thinned.max(initial=0.0)))
        return bool(np.abs(self.positions - position).min() <= 0.5 * step + 1e-3)

    def reaches(self, position: float) -> bool:
        """Whether the full stack has a slice at this position: a view there shows something."""
        first, last = int(np.argmin(self.positions)), int(np.argmax(self.positions))
        low = self.positions[first] - (int(self.numbers[first]) + 0.5) * self.spacing
        high = self.positions[last] + (self.count - 1 - int(self.numbers[last]) + 0.5) * self.spacing
        return bool(low - 1e-3 <= position <= high + 1e-3)

    def number(self, position: float) -> int:
        """The slice of the full stack at this position, 0-based; the first or last one beyond its ends."""
        row = self.row(position)
        steps = round((position - float(self.positions[row])) / self.spacing) if self.spacing > 0 else 0
        return int(np.clip(int(self.numbers[row]) + steps, 0, self.count - 1))


@dataclass(frozen=True, eq=False)
class Companion:
    """A result that is scrolled together with the query.

    Attributes:
        rows: its slices.
        path: float [n_q], for each row of the query the row of the result that belongs to it, fractional and never
            turning back (Correspondence.path); None if nothing is known, and then it stays where it is.
    """

    rows: StackRows
    path: np.ndarray | None

    def positionFor(self, query: StackRows, queryPosition: float) -> float | None:
        """Where its slice lies, in mm along its stack, that belongs to a position along the query's stack.

        It is a slice that was compared: between two of them a view would show a blend that nobody acquired.
        """
        if self.path is None:
            return None
        queryRow = np.interp(queryPosition, query.positions, np.arange(len(query.positions)))
        row = round(float(np.interp(queryRow, np.arange(len(self.path)), self.path)))
        return float(self.rows.positions[int(np.clip(row, 0, len(self.rows.positions) - 1))])

    def queryPositionFor(self, query: StackRows, position: float, near: float | None) -> float | None:
        """The position along the query's stack that belongs to one along this stack: a slice that was compared."""
        row = self.queryRowFor(position, 0 if near is None else query.row(near))
        return None if row is None else float(query.positions[row])

    def ownPosition(self, position: float | None) -> float | None:
        """Where along the result's own stack its view is, in mm, when it is at this position."""
        return position

    def positionOfRow(self, query: StackRows, row: int, queryRow: int) -> float:
        """Where its view shows one of its rows, which is paired with a row of the query."""
        return float(self.rows.positions[row])

    def queryRowFor(self, position: float, near: int) -> int | None:
        """The row of the query whose slice belongs to a position along this stack.

        Where the path rests, several do: the one nearest to row `near`, so that the query does not jump.
        """
        if self.path is None:
            return None
        row = np.interp(position, self.rows.positions, np.arange(len(self.rows.positions)))
        distances = np.abs(self.path - row)
        best = np.flatnonzero(distances <= distances.min() + 1e-6)
        return int(best[np.abs(best - near).argmin()])


@dataclass(frozen=True, eq=False)
class OverlaidCompanion:
    """A result over the query, in its space: it shows the position that the query does.

    Attributes:
        rows: the result's own slices.
        start, slope: the result's position in mm is start + slope * the query's; None where its slices are cut across.
    """

    rows: StackRows
    start: float | None
    slope: float

    def positionFor(self, query: StackRows, queryPosition: float) -> float | None:
        return queryPosition

    def queryPositionFor(self, query: StackRows, position: float, near: float | None) -> float | None:
        return position

    def ownPosition(self, position: float | None) -> float | None:
        return None if position is None or self.start is None else self.start + self.slope * position

    def positionOfRow(self, query: StackRows, row: int, queryRow: int) -> float:
        return float(query.positions[queryRow])
