"""The ordinary score: what a result has to be better than."""

from __future__ import annotations

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.errors import DamagedStoreError
from VolumeRetrievalEngine.query.query import query_from_store
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.ordinary import ordinary_score
from VolumeRetrievalEngine.searching.scoring import Scoring
from VolumeRetrievalEngine.searching.search import search_store
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store import VolumeStore


def a_session(folder, count: int) -> SearchSession:
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(count):
            store.add(new_volume(number))
    return SearchSession(folder, "numpy")


def search(session: SearchSession, **options):
    query = query_from_store(session.store, session.store.listing()[0], "query")
    return search_store(session, query, SearchOptions(**options), lambda record: record.volume_id)


def test_it_is_the_median_of_all_where_these_are_few(tmp_path):
    result = search(a_session(tmp_path / "store", 12), ranking="exhaustive", top=20)
    assert len(result.matches) == 11
    assert result.ordinary_score == pytest.approx(np.median([match.score for match in result.matches]))
    assert result.to_dict()["ordinary_score"] == result.ordinary_score


def test_of_many_a_sample_is_taken_that_is_the_same_each_time(tmp_path):
    session = a_session(tmp_path / "store", 120)
    all_scores = sorted(match.score for match in search(session, ranking="exhaustive", top=200).matches)
    first, second = (search(session, top=3).ordinary_score for _ in range(2))
    assert first == second
    assert all_scores[len(all_scores) // 4] < first < all_scores[3 * len(all_scores) // 4]


def test_it_knows_filters_and_leaves_the_query_out(tmp_path):
    session = a_session(tmp_path / "store", 12)
    query = query_from_store(session.store, session.store.listing()[0], "query")
    keys = session.store.keys()
    session.refresh(("slices",))
    assert ordinary_score(session, query, keys, Scoring()) == ordinary_score(session, query, keys[1:], Scoring())
    assert ordinary_score(session, query, keys[:9], Scoring()) != ordinary_score(session, query, keys, Scoring())
    assert ordinary_score(session, query, keys[:8], Scoring()) is None  # 7 others


def test_too_few_volumes_and_baselines_have_none(tmp_path):
    session = a_session(tmp_path / "store", 9)
    assert search(session).ordinary_score is not None
    assert search(session, ranking="count").ordinary_score is None
    assert search(session, exclude_series=[], top=2).ordinary_score is not None
    assert search(a_session(tmp_path / "few", 8)).ordinary_score is None


def test_a_damaged_volume_in_the_sample_does_not_end_the_search(tmp_path):
    class Damaged(Scoring):
        def exact(self, *_):
            raise DamagedStoreError("volumes.sqlite")

    session = a_session(tmp_path / "store", 9)
    query = query_from_store(session.store, session.store.listing()[0], "query")
    assert ordinary_score(session, query, session.store.keys(), Damaged()) is None
