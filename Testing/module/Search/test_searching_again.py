"""Ranking again: the worker is asked for the same query; where it no longer knows it, all of it is searched again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from fake_logic import aResult
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.Search.Searching import Searching
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import Callbacks, IndexedVolume, SearchCriteria


class Client:
    """Keeps what is requested; the test answers."""

    def __init__(self):
        self.requests = []

    def configure(self, arguments):
        pass

    def request(self, method, params, callbacks):
        self.requests.append((method, params, callbacks))
        return SimpleNamespace(isRunning=True)


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def searching(client, tmp_path):
    contents = SimpleNamespace(
        volumesOfSeries=lambda uid: [SimpleNamespace(volumeID="first"), SimpleNamespace(volumeID="second")]
    )
    index = SimpleNamespace(
        contents=contents,
        storeName="store",
        folder=tmp_path,
        removed=lambda: [],
        series=SimpleNamespace(ofSamePatient=lambda uid: [], files=lambda uid: []),
    )
    loaded = SimpleNamespace(indexedVolume=lambda node, contents: SimpleNamespace(volumeID="indexed"))
    folders = SimpleNamespace(make=lambda: tmp_path, remove=lambda folder: None)
    return Searching(index, loaded, folders, client, loadSettings=Settings)


@pytest.fixture
def volume():
    return slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.float32), name="Query")


def answered(searching, client, query, result):
    searching.start(query, None, SearchCriteria(), Callbacks())
    client.requests[-1][2].finished(result.to_dict())


def test_marks_are_sent_with_the_search_that_the_worker_knows(searching, client, volume):
    answered(searching, client, volume, aResult(2))
    found = []
    marked = SearchCriteria(like=("volume1",), unlike=("volume2",))
    searching.again(aResult(2), volume, None, marked, Callbacks(found.append))
    method, params, callbacks = client.requests[-1]
    assert (method, params["search"]) == ("search_again", "search")
    assert (params["options"]["like"], params["options"]["unlike"]) == (["volume1"], ["volume2"])
    callbacks.finished(aResult(2, search_id="again", like=("volume1",)).to_dict())
    assert found[0].like == ("volume1",)
    assert searching.searchOf(found[0].matches[0]).nodeID == volume.GetID()


def test_a_worker_that_was_started_again_searches_anew(searching, client, volume):
    answered(searching, client, volume, aResult(2))
    failures = []
    marked = SearchCriteria(like=("volume1",))
    searching.again(aResult(2), volume, None, marked, Callbacks(failed=failures.append))
    client.requests[-1][2].failed(EngineError("gone", "UnknownSearchError"))
    method, params, callbacks = client.requests[-1]
    assert (method, params["query"], params["options"]["like"]) == ("search", "indexed", ["volume1"])
    callbacks.failed(EngineError("broken"))
    assert [str(error) for error in failures] == ["broken"]


def test_a_result_that_is_not_remembered_is_searched_anew(searching, client, volume):
    searching.again(aResult(2), volume, None, SearchCriteria(), Callbacks())
    assert client.requests[-1][0] == "search"


def test_a_volume_of_the_index_is_searched_with_by_its_id(searching, client):
    searching.start(IndexedVolume("1.2.3", "second"), None, SearchCriteria(), Callbacks())
    assert client.requests[-1][1]["query"] == "second"
    assert client.requests[-1][1]["options"]["exclude_series"] == ["1.2.3"]
    searching.start("1.2.3", None, SearchCriteria(), Callbacks())
    assert client.requests[-1][1]["query"] == "first"
