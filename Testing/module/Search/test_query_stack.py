"""Which slices the numbers of a query count, before a search: those of the index, for what is indexed."""

from __future__ import annotations

import types

import numpy as np
import pytest
import slicer
from phantom_database import nodeOf
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.query.query import query_from_store
from VolumeRetrievalEngine.query.region import SliceRange
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalLib.Database.IndexContents import IndexContents, IndexedVolume
from VolumeRetrievalLib.Processes.PrivateFolders import PrivateFolders
from VolumeRetrievalLib.Scene.LoadedVolumes import LoadedVolumes
from VolumeRetrievalLib.Search import QueryStack
from VolumeRetrievalLib.Search.Searching import Searching
from VolumeRetrievalLib.Values import Callbacks, SceneRegion, SearchCriteria


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A series of an abdomen in an index that slices sagittally, whatever was acquired; (index folder, series)."""
    folder = tmp_path_factory.mktemp("archive")
    (series,) = write_archive(folder / "archive", 1, fields_of_view=("abdomen",), spacing_mm=(10.0, 12.0))
    retriever = Retriever.create(folder / "store", "descriptor", plane="sagittal", slice_step_mm=18.0)
    retriever.add([folder / "archive"])
    return folder / "store", series


@pytest.fixture
def index(archive):
    return types.SimpleNamespace(directory="/database", contents=IndexContents(archive[0]))


def uid(archive) -> str:
    with VolumeStore.open(StoreFolder(archive[0]).choose("")) as store:
        return store.listing()[0].series_uid


def test_a_series_has_the_stack_that_was_indexed_with_those_slices_that_were_left_out(archive, index):
    stack = QueryStack.stackOf(uid(archive), index, LoadedVolumes())
    described = QueryStack.describe(stack)
    columns = read_volume(archive[1].folder).voxels.shape[2]
    assert (described.plane, described.count) == ("sagittal", columns)
    assert (described.firstEnd, described.lastEnd) == ("left", "right")
    assert QueryStack.stackOf("1.2.3", index, LoadedVolumes()) is None


def test_a_volume_that_is_not_indexed_is_sliced_in_the_plane_of_the_index(index):
    node = slicer.util.addVolumeFromArray(np.zeros((5, 6, 7), np.float32))
    stack = QueryStack.stackOf(node, index, LoadedVolumes())
    assert (stack.plane, stack.count) == ("sagittal", 7)
    none = types.SimpleNamespace(directory="", contents=None)  # no database is open
    assert QueryStack.stackOf(node, none, LoadedVolumes()).plane == "axial"
    assert QueryStack.stackOf(None, index, LoadedVolumes()) is None


def test_an_indexed_volume_in_the_scene_has_the_stack_of_the_index(archive, index):
    volume = read_volume(archive[1].folder)
    node = nodeOf(volume)
    seriesUID = uid(archive)
    indexed = index.contents.volumesOfSeries(seriesUID)[0]
    assert isinstance(indexed, IndexedVolume)
    loaded = types.SimpleNamespace(indexedVolume=lambda _node, _contents: indexed)
    stack = QueryStack.stackOf(node, index, loaded)
    assert stack.positions == pytest.approx(QueryStack.stackOf(seriesUID, index, loaded).positions)
    # And its box selects the slices that the numbers name.
    with VolumeStore.open(StoreFolder(archive[0]).choose("")) as store:
        record = store.listing()[0]
        for first, last in ((0, 3), (4, 9)):
            numbers = query_from_store(store, record, "", SliceRange(first, last, "sagittal")).table.index.tolist()
            assert query_from_store(store, record, "", stack.slab(first, last)).table.index.tolist() == numbers


class Client:
    """A search worker that keeps what it is asked."""

    def __init__(self):
        self.params = []

    def configure(self, arguments):
        pass

    def request(self, method, params, answer):
        self.params.append(params)


def test_of_a_series_only_slices_can_be_a_region(archive, index, tmp_path):
    client = Client()
    index = types.SimpleNamespace(
        directory="/database",
        contents=IndexContents(archive[0]),
        folder=archive[0],
        storeName="",
        removed=list,
    )
    searching = Searching(index, LoadedVolumes(), PrivateFolders(str(tmp_path)), client)
    series = uid(archive)
    options = SearchCriteria()
    answer = Callbacks()
    searching.start(series, SceneRegion("slices", firstSlice=2, lastSlice=5), options, answer)
    assert client.params[-1]["region"] == {"slices": [2, 5], "plane": "sagittal"}
    for kind in ("roi", "segment"):
        with pytest.raises(ValueError, match="whole or by slices"):
            searching.start(series, SceneRegion(kind), options, answer)
    with pytest.raises(ValueError, match="No sagittal slices 900 to 1000"):
        searching.start(series, SceneRegion("slices", firstSlice=899, lastSlice=999), options, answer)
