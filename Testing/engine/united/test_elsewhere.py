"""Parts that another process holds open are asked at the same time, those here in the thread that asks."""

from __future__ import annotations

import threading

import pytest
from VolumeRetrievalEngine.errors import StoreLostError
from VolumeRetrievalEngine.united.elsewhere import Elsewhere, answers


class There(Elsewhere):
    pass


def test_parts_elsewhere_are_asked_together_and_those_here_in_this_thread():
    meeting, threads = threading.Barrier(3, timeout=30), {}

    def ask(number: int, part: object) -> int:
        threads[number] = threading.current_thread()
        meeting.wait()  # nobody passes before all three are asked
        return 10 * number

    found = answers({0: There(), 1: "here", 2: There()}, ask)
    assert list(found.items()) == [(0, 0), (1, 10), (2, 20)]
    assert threads[1] is threading.current_thread()


def test_an_error_of_a_part_elsewhere_is_raised_and_nothing_goes_on_in_the_background():
    finished = []

    def ask(number: int, part: object) -> None:
        if number == 0:
            raise StoreLostError("gone")
        finished.append(number)

    with pytest.raises(StoreLostError, match="gone"):
        answers({0: There(), 1: There(), 2: "here"}, ask)
    assert sorted(finished) == [1, 2]


def test_a_person_who_interrupts_does_not_wait_for_what_goes_on_elsewhere():
    asked, end, finished = threading.Event(), threading.Event(), threading.Event()

    def ask(number: int, part: object) -> None:
        if isinstance(part, There):
            asked.set()
            end.wait(30)
            finished.set()
        else:
            asked.wait(30)
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            answers({0: There(), 1: "here"}, ask)
        assert not finished.is_set()
    finally:
        end.set()
