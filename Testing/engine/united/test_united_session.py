"""Several stores searched as one give what one store with everything gives, also among equals."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from engine.store_samples import RECIPE, volume_id
from engine.two_stores import FIRST, SEARCHES, SECOND, a_volume
from VolumeRetrievalEngine.errors import StoreError, UnknownVolumeError
from VolumeRetrievalEngine.patients import PatientTokens
from VolumeRetrievalEngine.query.query import query_from_store
from VolumeRetrievalEngine.query.region import SliceRange
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.search import search_store
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.united.query_identities import QueryIdentities
from VolumeRetrievalEngine.united.united_session import UnitedSession
from VolumeRetrievalEngine.volume import Identity


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("stores")
    made = {"first": FIRST, "second": SECOND, "all": [*FIRST, *SECOND]}
    for name, numbers in made.items():
        with VolumeStore.create(base / name, RECIPE) as store:
            for number in numbers:
                store.add(a_volume(number))
    return {name: base / name for name in made}


def a_session(folders: dict[str, Path]) -> UnitedSession:
    """The two stores as one."""
    names = {0: folders["first"], 1: folders["second"]}
    return UnitedSession({number: SearchSession(folder) for number, folder in names.items()}, names)


def known_as(identities: dict[int, Identity]) -> QueryIdentities:
    """A query that is this in each store."""

    def no_tokens(number: int) -> PatientTokens:
        raise AssertionError("nothing has to be found out")

    return QueryIdentities(dict, no_tokens, Identity("", ""), "", identities)


@pytest.fixture(scope="module")
def sessions(folders):
    one = SearchSession(folders["all"])
    united = a_session(folders)
    yield one, cast(SearchSession, united)
    one.close()
    united.close()


def found(session: SearchSession, number: int, region: SliceRange | None, options: SearchOptions) -> list[tuple]:
    record = session.store.find(volume_id(number))
    query = query_from_store(session.store, record, "query", region)
    result = search_store(session, query, options, lambda one: one.label)
    return [
        (
            match.volume_id,
            match.n_rows,
            match.path,
            match.place,
            match.files,
            match.likeness,
            pytest.approx(match.score),
        )
        for match in result.matches
    ]


@pytest.mark.parametrize("region", [None, SliceRange(8, 14)], ids=["whole", "region"])
@pytest.mark.parametrize("options", SEARCHES.values(), ids=SEARCHES)
def test_several_stores_answer_as_one(sessions, region, options):
    one, united = sessions
    asked = SearchOptions(**{"top": 12, **options})
    for number in (3, 24, 30):
        assert found(united, number, region, asked) == found(one, number, region, asked)


def test_the_twin_in_the_other_store_comes_first(sessions):
    _, united = sessions
    assert found(united, 3, None, SearchOptions(top=1))[0][0] == volume_id(30)


def test_the_querys_patient_is_known_by_each_stores_own_hash(sessions):
    _, united = sessions
    options = SearchOptions(top=40, exclude=frozenset({"patient"}))
    try:
        # In the second store, the patient of volume 3 (3, 10, 17, 24, 31 of one store) is called otherwise.
        united.store.identities = known_as(
            {0: Identity("", "", "", "patient 3", ""), 1: Identity("", "", "", "patient 4", "")}
        )
        ids = {one[0] for one in found(united, 3, None, options)}
        assert {volume_id(number) for number in (10, 17, 25)}.isdisjoint(ids)
        assert {volume_id(number) for number in (24, 11)} <= ids
        united.store.identities = known_as({})  # not known: nobody is taken for him
        assert len(found(united, 3, None, options)) == 31
    finally:
        united.store.identities = known_as({})


def test_whatever_is_read_of_a_volume_comes_from_its_own_store(sessions):
    one, united = sessions
    assert [record.volume_id for record in united.store.listing()] == [
        record.volume_id for record in one.store.listing()
    ]
    for number in (5, 25):
        ours, theirs = (session.store.find(volume_id(number)) for session in (united, one))
        assert np.array_equal(united.store.embeddings(ours.key), one.store.embeddings(theirs.key))
        assert united.store.thumbnail(ours.key, 2) == one.store.thumbnail(theirs.key, 2)
        assert ours.files == theirs.files
        assert [record.key for record in united.store.records([ours.key])] == [ours.key]
    rows, offsets = united.store.many_pooled(united.store.keys()[[25, 3]])
    expected, bounds = one.store.many_pooled(one.store.keys()[[25, 3]])
    assert np.array_equal(rows, expected)
    assert np.array_equal(offsets, bounds)


def test_a_store_that_is_gone_is_left_out_with_a_note_and_the_other_answers(folders, monkeypatch):
    united = a_session(folders)

    def fail(levels: object, progress: object = None) -> None:
        raise StoreError("the share is gone")

    monkeypatch.setattr(united.parts[1], "refresh", fail)
    query = query_from_store(united.store, united.store.find(volume_id(3)), "query")
    lost = united.store.find(volume_id(25)).key
    result = search_store(cast(SearchSession, united), query, SearchOptions(top=40), lambda one: one.label)
    assert len(result.matches) == len(FIRST) - 1
    assert f"{folders['second']} is not searched: the share is gone" in result.notes
    for read in (united.store.embeddings, lambda key: united.store.records([key])):
        with pytest.raises(UnknownVolumeError, match="not searched any more"):
            read(lost)
    monkeypatch.setattr(united.parts[0], "refresh", fail)
    with pytest.raises(StoreError, match="the share is gone"):
        united.refresh()
    united.close()
