"""A comparison with volumes of one gray, for tests of what is shown next to the query."""

from __future__ import annotations

import numpy as np
import slicer
from fake_logic import aResult
from slicer_application.pythonqt import unwrap
from VolumeRetrievalLib.Views.CompareLayout import Column
from VolumeRetrievalLib.Views.MatchDisplay import ShownMatch

SPACING = (4.0, 4.0, 3.0)


def aVolume(name="CT", slices=60, ijkToRas=None, value=60):
    """Its slices ascend with k from S = 0, and are 128 mm wide."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0]) if ijkToRas is None else ijkToRas
    if ijkToRas is None:
        matrix[:2, 3] = 62.0
    voxels = np.full((slices, 32, 32), value, np.float32)
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(200, 60)
    return node


def show(display, count=1, isOurs=True, result=None):
    """The query's node, the result, and what is shown of it."""
    query = aVolume("query", slices=40)
    found = result or aResult(count)
    matches = [
        ShownMatch(match, aVolume(match.volume_id), isOurs, f"Patient {match.rank * 7}") for match in found.matches
    ]
    display.show(query, found, matches)
    return query, found, matches


def sliceNode(name):
    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def main(number):
    """The main view's node of a column."""
    return sliceNode(Column(number).main)


def offsetOf(name):
    """S of an axial view's slice, mm."""
    return sliceNode(name).GetSliceToRAS().GetElement(2, 3)


def pixels(name):
    return slicer.app.layoutManager().sliceWidget(name).sliceView()._qt.pixels().astype(int)


def shownViews():
    return [one._node.GetLayoutName() for one in unwrap(slicer.app.layoutManager()).shownWidgets()]


def textIn(name):
    """Everything that is written into the corners of a view, but for what the Data Probe writes there."""
    view = slicer.app.layoutManager().sliceWidget(name).sliceView()
    own = (view.cornerAnnotation(), view.overlayCornerAnnotation())
    texts = []
    renderers = view.renderWindow().GetRenderers()
    for index in range(renderers.GetNumberOfItems()):
        props = renderers.GetItemAsObject(index).GetViewProps()
        for number in range(props.GetNumberOfItems()):
            prop = props.GetItemAsObject(number)
            if prop.IsA("vtkCornerAnnotation") and prop not in own:
                texts += [prop.GetText(corner) for corner in range(4) if prop.GetText(corner)]
    return "\n".join(texts)


def nodeIDs():
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
