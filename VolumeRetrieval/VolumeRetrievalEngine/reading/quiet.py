"""Keeps the readers' libraries from printing: what they warn about may be the value of a patient's attribute."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
import SimpleITK as sitk

_NOISY = ("pydicom", "pydicom.dataset", "pydicom.charset", "pydicom.values")


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, ITK, GDCM and pydicom say nothing about the files they read; their exceptions still come through.

    pydicom checks values only to warn about them, quoting them: that is switched off here too.
    """
    itk_warnings = sitk.ProcessObject.GetGlobalWarningDisplay()
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(itk_warnings)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
