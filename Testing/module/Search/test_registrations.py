"""What is sent to register a match, and what is left when it is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from fake_logic import aResult
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.searching.refinement import Refinement
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.Processes.PrivateFolders import PrivateFolders
from VolumeRetrievalLib.Scene.LoadedVolumes import LoadedVolumes
from VolumeRetrievalLib.Search.LastSearch import LastSearch
from VolumeRetrievalLib.Search.Registrations import Registrations
from VolumeRetrievalLib.Values import Callbacks

FOUND = Refinement(np.eye(4), True, "", 0.1, 6.2, OrientedBox(np.zeros(3), np.eye(3), np.ones(3)), 1.0)
RESULT = aResult(2)
MATCH = RESULT.matches[0]


class FakeClient:
    def request(self, method, params, answer):
        self.method, self.params, self.answer = method, params, answer
        return self


class NothingIndexed:
    def volumesOfSeries(self, uid):
        return []


@pytest.fixture
def asked(tmp_path):
    """(registrations, their client, what was told)."""
    client, told = FakeClient(), []
    made = Registrations(client, PrivateFolders(str(tmp_path)), LoadedVolumes(), NothingIndexed)
    yield made, client, told
    assert not list(tmp_path.rglob("*.npy")), "voxels are left"


def calling(told):
    return Callbacks(*(lambda *values, name=name: told.append((name, *values)) for name in ("done", "failed", "gone")))


def ofNode():
    node = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.float32), name="query")
    return LastSearch(RESULT, "descriptor-1", nodeID=node.GetID()), node


@pytest.mark.parametrize("end", ["done", "failed", "gone"])
def test_a_query_of_the_scene_is_sent_as_voxels_which_are_then_removed(asked, end):
    registrations, client, told = asked
    last, _node = ofNode()
    registrations.request(last, MATCH, calling(told))
    assert client.method == "refine"
    assert {name: client.params[name] for name in ("search", "key", "encoder")} == {
        "search": "search", "key": MATCH.key, "encoder": "descriptor-1",
    }  # fmt: skip
    assert np.load(client.params["volume"]["file"]).shape == (4, 5, 6)
    if end == "done":
        client.answer.finished(FOUND.to_dict())
        assert told == [("done", FOUND)] and registrations.known(last, MATCH) == FOUND
        assert registrations.known(last, RESULT.matches[1]) is None
    elif end == "failed":
        client.answer.failed(EngineError("...", "UnknownSearchError"))
        assert told[0][0] == "failed" and "search again" in str(told[0][1])
    else:
        client.answer.cancelled()
        assert told == [("gone",)]
    assert end == "done" or registrations.known(last, MATCH) is None
    assert not Path(client.params["volume"]["file"]).exists()


@pytest.mark.parametrize(
    ("source", "sent"), [({"volumeID": "query"}, {}), ({"files": ("a.dcm", "b.dcm")}, {"files": ["a.dcm", "b.dcm"]})]
)
def test_what_the_engine_can_read_again_is_not_sent(asked, source, sent):
    registrations, client, told = asked
    registrations.request(LastSearch(RESULT, "descriptor-1", **source), MATCH, calling(told))
    assert {name: client.params[name] for name in ("volume", "files") if name in client.params} == sent


def test_a_query_that_was_removed_is_named(asked):
    registrations, _client, told = asked
    last, node = ofNode()
    slicer.mrmlScene.RemoveNode(node)
    with pytest.raises(ValueError, match="no longer in the scene"):
        registrations.request(last, MATCH, calling(told))


def test_an_answer_that_is_none_is_an_error(asked):
    registrations, client, told = asked
    registrations.request(LastSearch(RESULT, "descriptor-1", volumeID="query"), MATCH, calling(told))
    client.answer.finished({"matrix": "no"})
    assert told[0][0] == "failed"
