"""How long-running work reports its progress, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


class Cancelled(Exception):
    """Raised by a progress callback to stop the work; what is finished stays.

    Example:
        >>> def stop(step: Progress) -> None:
        ...     raise Cancelled
        >>> Retriever.open("index").add(["archive"], progress=stop).cancelled
        True
    """


@dataclass(frozen=True)
class Progress:
    """The progress of some work.

    Attributes:
        stage: what is being done, and so what is counted: "scan" files, "index" volumes, "build" volumes in a search
            index, "download" bytes; others.
        done, total: how much of it; total 0 means not known yet.
        item: what is being worked on now (a path).
        series: its SeriesInstanceUID; empty where it has none, or several.
        rate: per second, over the time since the work began; 0.0 while unknown.
        remaining: estimated seconds; None while unknown.

    Example:
        >>> seen: list[Progress] = []
        >>> report = Retriever.open("index").add(["archive"], progress=seen.append)
        >>> seen[-1].done == seen[-1].total
        True
    """

    stage: str
    done: int
    total: int
    item: str = ""
    rate: float = 0.0
    remaining: float | None = None
    series: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """The progress in a message (worker/PROTOCOL.md); other entries are ignored."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})


#: Called with every step; may raise Cancelled.
ProgressCallback = Callable[[Progress], None]


@dataclass
class ProgressClock:
    """Counts work that is not all alike: the estimate goes by weight (bytes, slices), what is shown by items."""

    stage: str
    total: int
    total_weight: float
    report: ProgressCallback | None
    done: int = 0
    weight: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def tell(self, item: str, series: str = "") -> None:
        """Say what is worked on now."""
        if self.report is None:
            return
        elapsed = time.monotonic() - self.started
        known = self.weight > 0 and elapsed > 0
        remaining = elapsed * (self.total_weight - self.weight) / self.weight if known else None
        rate = self.done / elapsed if known else 0.0
        self.report(Progress(self.stage, self.done, self.total, item, rate, remaining, series))

    def advance(self, weight: float, item: str = "", series: str = "") -> None:
        """One item of this weight is finished."""
        self.count(1, weight)
        self.tell(item, series)

    def count(self, items: int, weight: float) -> None:
        """So many items of this weight together are finished; nothing is reported."""
        self.done += items
        self.weight += weight
