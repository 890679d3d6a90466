"""CPU time of calls that take turns, and tables of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Timings:
    """CPU seconds of this process (all threads), by name of what was called."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take_turns(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Call each once, and return what they returned.

        Calls that are to be compared take turns, query by query: what else the machine does then hits all alike.
        """
        results = {}
        for name, call in calls.items():
            started = time.process_time()
            results[name] = call()
            self.seconds.setdefault(name, []).append(time.process_time() - started)
        return results

    def of(self, name: str) -> float:
        """The median, in milliseconds."""
        return 1e3 * median(self.seconds[name])

    def ratio(self, name: str, to: str) -> float:
        """The median of the ratios of calls that took turns."""
        return median(a / b for a, b in zip(self.seconds[name], self.seconds[to], strict=True))


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and what it returned."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table in Markdown."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(_text(value) for value in row) + " |")
    print(flush=True)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def met(value: float, limit: float, at_most: bool = True) -> str:
    """A figure of merit with its target."""
    good = value <= limit if at_most else value >= limit
    return f"{value:.3f} (target {'<=' if at_most else '>='} {limit:.3g}: {'met' if good else 'NOT met'})"
