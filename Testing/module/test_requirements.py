"""Says why the tests of this folder are skipped, where they are; see REASON in conftest.py."""

from __future__ import annotations


def test_real_mrml_and_qt_are_here(application):
    assert application.mrmlScene().GetNumberOfNodesByClass("vtkMRMLSliceNode") >= 3
