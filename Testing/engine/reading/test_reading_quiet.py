"""Silencing the readers' libraries lasts exactly as long as something is read."""

from __future__ import annotations

import logging
import threading
import warnings

import pydicom
import pytest
import SimpleITK as sitk
from VolumeRetrievalEngine.reading.quiet import quiet


def state() -> tuple:
    return (
        sitk.ProcessObject.GetGlobalWarningDisplay(),
        logging.getLogger("pydicom").level,
        list(warnings.filters),
        pydicom.config.settings.reading_validation_mode,
    )


def test_everything_is_as_before_afterwards_even_after_an_error():
    before = state()
    with pytest.raises(KeyError), quiet(), quiet():
        assert not sitk.ProcessObject.GetGlobalWarningDisplay()
        assert pydicom.config.settings.reading_validation_mode == pydicom.config.IGNORE
        raise KeyError
    assert state() == before


def test_threads_that_overlap_leave_everything_as_before():
    before = state()
    entered, leave = threading.Event(), threading.Event()

    def read() -> None:
        with quiet():
            entered.set()
            leave.wait(600)

    with quiet():
        other = threading.Thread(target=read)
        other.start()
        assert entered.wait(600)
    assert not sitk.ProcessObject.GetGlobalWarningDisplay()
    leave.set()
    other.join()
    assert state() == before
