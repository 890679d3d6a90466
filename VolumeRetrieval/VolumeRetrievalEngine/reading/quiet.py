"""Keeps the readers' libraries from printing: what they warn about may be the value of a patient's attribute."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pydicom
import SimpleITK as sitk

# What is silenced belongs to the whole process: of several threads that read, the last one out restores it.
_lock = threading.Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, ITK, GDCM and pydicom say nothing about the files they read; their exceptions still come through."""
    global _inside
    with _lock:
        if _inside == 0:
            _silence(_restore)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _silence(restore: ExitStack) -> None:
    restore.callback(sitk.ProcessObject.SetGlobalWarningDisplay, sitk.ProcessObject.GetGlobalWarningDisplay())
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    logger = logging.getLogger("pydicom")
    restore.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL + 1)
    restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    # pydicom checks values only to warn about them, and quotes them.
    restore.enter_context(pydicom.config.disable_value_validation())
