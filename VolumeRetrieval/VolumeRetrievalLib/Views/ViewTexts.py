"""Texts in a corner of slice views: whose volume it is, and which slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk

#: Corners of vtkCornerAnnotation.h. Slicer's Data Probe writes into the annotation that each view has
#: (SliceViewAnnotations.py: the volume's name below on the left, DICOM texts above if the user wants them) and clears
#: its other corners: ours is one of its own.
_UPPER_LEFT, _UPPER_RIGHT = 2, 3
_FONT_SIZE = 14  # as the Data Probe's
#: The mean width of a letter, of the font's size.
_LETTER_WIDTH = 0.5


class ViewTexts:
    """The texts of the views in which there are any; `remove` leaves the views as they were."""

    def __init__(self) -> None:
        self._annotations: dict[str, tuple[Any, vtk.vtkCornerAnnotation]] = {}

    def set(self, view: str, lines: Sequence[str]) -> None:
        """Write these lines into a slice view; a line that is too long for it goes on in the next one at a comma."""
        widget = slicer.app.layoutManager().sliceWidget(view)
        sliceView = widget.sliceView()
        if view not in self._annotations:
            self._annotations[view] = _add(sliceView)
        annotation = self._annotations[view][1]
        width = widget.mrmlSliceNode().GetDimensions()[0]
        text = fitted(lines, int(width / (_LETTER_WIDTH * _FONT_SIZE)) - 2)
        corner = _UPPER_RIGHT if sliceView.cornerAnnotation().GetText(_UPPER_LEFT) else _UPPER_LEFT
        if annotation.GetText(corner) == text:
            return
        annotation.ClearAllTexts()
        annotation.SetText(corner, text)
        sliceView.scheduleRender()

    def remove(self) -> None:
        for renderer, annotation in self._annotations.values():
            renderer.RemoveViewProp(annotation)
        self._annotations = {}


def fitted(lines: Sequence[str], letters: int) -> str:
    """The lines, none longer than this many letters: broken after a comma, or else cut."""
    texts: list[str] = []
    for line in lines:
        if len(line) > letters and ", " in line:
            texts.extend(line.split(", "))
        else:
            texts.append(line)
    return "\n".join(one if len(one) <= letters else f"{one[: max(letters - 3, 1)]}..." for one in texts if one)


def _add(sliceView: Any) -> tuple[Any, vtk.vtkCornerAnnotation]:
    renderers = sliceView.renderWindow().GetRenderers()
    # The last one is ctkVTKSliceView's overlay: the ones before are made again when the view's light box changes.
    renderer = renderers.GetItemAsObject(renderers.GetNumberOfItems() - 1)
    annotation = vtk.vtkCornerAnnotation()
    annotation.SetMaximumFontSize(_FONT_SIZE)
    annotation.SetMinimumFontSize(_FONT_SIZE)
    annotation.SetNonlinearFontScaleFactor(1)
    properties = annotation.GetTextProperty()
    properties.SetFontFamilyToArial()
    properties.SetShadow(True)
    slicer.app.applicationLogic().UseCustomFontFile(properties)  # names are not all in Latin letters
    renderer.AddViewProp(annotation)
    return renderer, annotation
