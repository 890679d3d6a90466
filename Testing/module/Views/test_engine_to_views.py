"""What the engine found, shown in the views: both must mean the same place in the patient."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from phantom_story import nodeOf
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalLib.Views import RangeMarks
from VolumeRetrievalLib.Views.CompareLayout import Column
from VolumeRetrievalLib.Views.MatchDisplay import MatchDisplay, ShownMatch


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two patients' abdomens, indexed; (retriever, series)."""
    folder = tmp_path_factory.mktemp("archive")
    series = write_archive(folder / "archive", 2, fields_of_view=("abdomen",), spacing_mm=(6.0, 5.0))
    retriever = Retriever.create(folder / "store", "descriptor")
    retriever.add([folder / "archive"])
    return retriever, series


def offsetOf(name):
    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    return node.GetSliceToRAS().GetElement(2, 3)


def test_a_volume_matched_with_itself_is_shown_at_the_same_slice_everywhere(archive):
    retriever, series = archive
    found = retriever.search(series[0].folder, options=SearchOptions(top=1, exclude=frozenset()))
    result = found
    match = result.matches[0]
    assert match.score > 0.99
    volume = read_volume(series[0].folder)
    query, shown = (nodeOf(volume.voxels, volume.affine, name) for name in ("query", "match"))
    display = MatchDisplay()
    display.show(query, result, [ShownMatch(match, shown)])
    assert offsetOf(Column(1).main) == pytest.approx(offsetOf(Column(0).main), abs=0.01)
    queryNode = slicer.app.layoutManager().sliceWidget(Column(0).main).mrmlSliceNode()
    for position in np.linspace(result.query_table.position[2], result.query_table.position[-3], 5):
        queryNode.JumpSliceByOffsetting(0, 0, float(position))
        assert offsetOf(Column(1).main) == pytest.approx(position, abs=5.0)  # within a slice
    display.remove()


def test_the_slab_of_a_match_with_itself_covers_the_matched_slices(archive):
    retriever, series = archive
    found = retriever.search(series[1].folder, options=SearchOptions(top=1, exclude=frozenset()))
    result = found
    one = result.matches[0].place
    assert one.is_certain
    volume = read_volume(series[1].folder)
    node = nodeOf(volume.voxels, volume.affine, "match")
    display = MatchDisplay()
    display.show(nodeOf(volume.voxels, volume.affine, "query"), result, [ShownMatch(result.matches[0], node)])
    (mark,) = [one for one in RangeMarks.marks() if one.GetAttribute(RangeMarks.ATTRIBUTE) == "Result1"]
    bounds = [0.0] * 6
    mark.GetRASBounds(bounds)
    heights = [volume.affine[2, 3] + volume.affine[2, 2] * k for k in (one.first_slice, one.last_slice)]
    assert bounds[4:] == pytest.approx([min(heights) - 2.5, max(heights) + 2.5], abs=0.05)
    display.remove()
