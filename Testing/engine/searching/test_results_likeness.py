"""The likeness of results: in words, from the levels that are kept next to the store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.errors import DamagedStoreError, QueryError, UnknownVolumeError
from VolumeRetrievalEngine.query.query import query_from_store
from VolumeRetrievalEngine.searching import neighbor_file
from VolumeRetrievalEngine.searching.likeness import Likeness, nothing_in_words
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.neighbor_file import levels_of, read_levels, update_levels
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.result_likeness import likeness_of
from VolumeRetrievalEngine.searching.search import search_store
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store import VolumeStore

COUNT = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of twenty volumes, each much like the one before it."""
    folder = tmp_path_factory.mktemp("store") / "store"
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(COUNT):
            store.add(new_volume(number, seed=number // 2))
    return folder


@pytest.fixture
def session(folder):
    session = SearchSession(folder, "numpy")
    yield session
    session.close()


def a_query(session, number: int = 0):
    return query_from_store(session.store, session.store.listing()[number], "query")


def search(session, query=None, **options) -> SearchResult:
    query = query or a_query(session)
    return search_store(session, query, SearchOptions(**options), lambda record: record.volume_id)


def test_every_result_says_how_unusual_it_is(session):
    result = search(session, top=5)
    standings = [match.likeness.standing for match in result.matches]
    assert result.likeness.standing == max(standings) == standings[0]
    again = SearchResult.from_dict(result.to_dict())
    assert [match.likeness.words for match in again.matches] == [match.likeness.words for match in result.matches]
    assert result.matches[0].summary()["likeness"]["words"] == result.matches[0].likeness.words


def test_it_does_not_depend_on_how_many_results_are_shown(session):
    assert search(session, top=1).likeness == search(session, top=10).likeness


def test_a_baseline_says_it_too_and_an_empty_result_says_nothing(session):
    assert search(session, ranking="count").likeness is not None
    assert search(session, exclude_series=frozenset(f"1.2.{number}" for number in range(COUNT))).likeness is None


def test_words_have_thresholds():
    words = [Likeness(value).words for value in (1.0, 0.3, 0.29, 0.15, 0.14, 0.0)]
    assert words == ["close match"] * 2 + ["some likeness"] * 2 + ["nothing like it"] * 2
    assert "93% of the indexed volumes" in nothing_in_words(Likeness(0.07))


def test_levels_are_kept_and_made_again_when_many_volumes_came(tmp_path, monkeypatch):
    with VolumeStore.create(tmp_path / "store", RECIPE) as store:
        for number in range(14):
            store.add(new_volume(number))
        update_levels(store)
        assert read_levels(store) is None  # too few
        for number in range(14, 30):
            store.add(new_volume(number))
        update_levels(store)
        kept = read_levels(store)
        np.testing.assert_array_equal(kept.nearest, levels_of(store).nearest)
        for number in range(30, 34):
            store.add(new_volume(number))
            update_levels(store)
        assert read_levels(store).n_volumes == 34
        monkeypatch.setattr(type(store), "store_id", "another")
        assert read_levels(store) is None


def test_a_damaged_file_is_made_again(folder, session):
    (folder / "neighbors.npz").write_bytes(b"no archive")
    try:
        assert search(session).likeness is not None
    finally:
        (folder / "neighbors.npz").unlink()


def test_a_large_archive_without_levels_is_not_waited_for(session, monkeypatch):
    monkeypatch.setattr("VolumeRetrievalEngine.searching.session.MADE_WHILE_SEARCHING", COUNT - 1)
    assert search(session).likeness is None
    assert search(session).matches[0].summary()["likeness"] is None


def test_a_damaged_volume_that_nobody_asked_for_does_not_end_the_search(session, monkeypatch):
    def damaged(*_):
        raise DamagedStoreError("volumes.sqlite")

    monkeypatch.setattr(neighbor_file, "neighbor_levels", damaged)
    assert likeness_of(session, a_query(session), session.store.keys(), 3) == [None] * 3


def test_marks_reorder_the_results_and_their_scores_stay(session):
    plain = search(session, ranking="exhaustive", top=COUNT)
    last = plain.matches[-1].volume_id
    marked = search(session, ranking="exhaustive", top=COUNT, like=(last,), unlike=(plain.matches[0].volume_id,))
    assert [match.mark for match in marked.matches] == ["like", *[""] * (COUNT - 3), "unlike"]
    assert marked.matches[0].volume_id == last
    scores = {match.volume_id: match.score for match in plain.matches}
    assert all(match.score == pytest.approx(scores[match.volume_id], abs=1e-6) for match in marked.matches)
    assert marked.unlike == (plain.matches[0].volume_id,)


def test_what_only_resembles_a_fitting_volume_comes_in(session):
    """Each volume has a twin; the twin of the worst result is not among the first."""
    worst = search(session, ranking="exhaustive", top=COUNT).matches[-1]
    number = session.store.find(worst.volume_id).key - 1
    found = search(session, distinct=1, filter="slices", top=3, like=(worst.volume_id,))
    assert {match.key - 1 for match in found.matches[:2]} == {number, number ^ 1}


def test_of_a_part_the_part_of_a_marked_volume_is_compared(session):
    whole = a_query(session)
    rows = np.arange(3)
    part = replace(whole, embeddings=whole.embeddings[rows], table=whole.table.take(rows), is_whole=False)
    worst = search(session, part, ranking="exhaustive", top=COUNT).matches[-1].volume_id
    best = search(session, part, ranking="exhaustive", like=(worst,), top=3).matches
    assert best[0].volume_id == worst


def test_marks_that_cannot_be_are_refused(session):
    with pytest.raises(UnknownVolumeError, match="marked, but not in the store"):
        search(session, like=("0" * 32 + "1",))
    with pytest.raises(QueryError, match="as like and as unlike"):
        SearchOptions(like=("a",), unlike=("a",))
    with pytest.raises(QueryError, match="cannot use marked volumes"):
        SearchOptions(like=("a",), ranking="count")
