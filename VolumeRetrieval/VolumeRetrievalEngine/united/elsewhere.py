"""Parts of a united archive that another process holds open: they are asked at the same time, the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

P = TypeVar("P")
T = TypeVar("T")


class Elsewhere:
    """A part (a session, a store's reader, an index) whose answers come from another process."""


def answers(parts: Mapping[int, P], ask: Callable[[int, P], T]) -> dict[int, T]:
    """What each part answers, by its number and in their order; the first error in that order is raised.

    What lies in this process is asked in this thread, which may hold the snapshot of a store.
    """
    elsewhere = {number: part for number, part in parts.items() if isinstance(part, Elsewhere)}
    if not elsewhere or len(parts) == 1:
        return {number: ask(number, part) for number, part in parts.items()}
    pool = ThreadPoolExecutor(len(elsewhere), thread_name_prefix="store-elsewhere")
    is_interrupted = False
    try:
        waiting = {number: pool.submit(ask, number, part) for number, part in elsewhere.items()}
        here = {number: ask(number, part) for number, part in parts.items() if number not in elsewhere}
        return {number: here[number] if number in here else waiting[number].result() for number in parts}
    except KeyboardInterrupt:  # by a person, who need not wait for an index that takes minutes to be built there
        is_interrupted = True
        raise
    finally:
        pool.shutdown(wait=not is_interrupted)
