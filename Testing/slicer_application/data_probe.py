"""What the Data Probe, which is always there, does to slice views.

Read in Slicer 5.12: Modules/Scripted/DataProbe/DataProbeLib/SliceViewAnnotations.py (updateViewAnnotations observes the
logic of each slice view; drawCornerAnnotations writes into four corners of the view's own annotation, empty texts too).
"""

from __future__ import annotations

import slicer


def update() -> None:
    """Every slice view was changed: the volume's name is below on the left, and the other corners are empty."""
    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        widget = manager.sliceWidget(name)
        volume = widget.sliceLogic().GetBackgroundLayer().GetVolumeNode()
        texts = [f"B: {volume.GetName()}\n" if volume is not None else "", "", "", ""]
        for corner, text in enumerate(texts):
            widget.sliceView().cornerAnnotation().SetText(corner, text)
