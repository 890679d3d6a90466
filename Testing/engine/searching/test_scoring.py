"""The parts of the score, and which of them suit a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.errors import QueryError
from VolumeRetrievalEngine.method.modality import PENALTY
from VolumeRetrievalEngine.method.score_parts import PARTS, ScoreParts
from VolumeRetrievalEngine.query.query import Query, query_from_store
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.searching.search import ranked, search_store
from VolumeRetrievalEngine.searching.session import SearchSession
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.volume import Attributes


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Twelve volumes of alternating modality; the last two say none."""
    folder = tmp_path_factory.mktemp("scoring") / "store"
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(12):
            modality = "" if number > 9 else ("CT", "MR")[number % 2]
            store.add(new_volume(number, rows=4 + number, attributes=Attributes(modality=modality)))
    with_all = SearchSession(folder, "numpy")
    yield with_all
    with_all.close()


@pytest.fixture
def query(session) -> Query:
    return query_from_store(session.store, session.store.listing()[0], "query")


def search(session: SearchSession, query: Query, **options) -> SearchResult:
    options = {"exclude": frozenset(), "top": 20, **options}
    return search_store(session, query, SearchOptions(**options), lambda record: record.volume_id)


@pytest.mark.parametrize("ranking", ["exhaustive", "two-stage"])
@pytest.mark.parametrize("score", ["paper", "default", *PARTS])
def test_a_volume_is_identical_to_itself(session, query, score, ranking):
    result = search(session, query, score=score, ranking=ranking)
    assert result.matches[0].volume_id == query.identity.volume_id
    assert result.matches[0].score == pytest.approx(1.0, abs=1e-3)  # stored in half precision
    assert all(match.score < 0.95 for match in result.matches[1:])


def test_the_plain_score_is_late_interaction_alone(session, query):
    result = search_store(session, query, SearchOptions.plain(ranking="exhaustive"), lambda record: "")
    assert result.score == "paper"
    for match in result.matches:
        assert match.score == pytest.approx(match.similarity.max(axis=1).mean(), abs=1e-5)


def test_both_directions_are_of_whole_volumes_only(session, query):
    assert search(session, query, score="directions").score == "directions"
    assert search(session, replace(query, is_whole=False), score="directions").score == "paper"


def test_another_modality_costs_a_little_where_nobody_asked_for_it(session, query):
    def scores(query, score, *conditions):
        found = search(session, query, score=score, attributes=AttributeFilter.parse(conditions))
        return found.score, {match.key: match.score for match in found.matches}

    _name, plain = scores(query, "paper")
    name, preferred = scores(query, "modality")
    assert name == "modality"
    is_mr = {record.key: record.attributes.modality == "MR" for record in session.store.listing()}
    assert {round(plain[key] - preferred[key], 5) for key in plain if is_mr[key]} == {PENALTY}
    assert {round(plain[key] - preferred[key], 5) for key in plain if not is_mr[key]} == {0.0}
    name, asked = scores(query, "modality", "modality=MR")
    assert name == "paper" and asked == {key: plain[key] for key in asked}
    assert scores(replace(query, modality=""), "modality") == ("paper", plain)


def test_an_exhaustive_search_makes_no_index_and_reads_the_store(session, query):
    with SearchSession(session.store.folder, "numpy") as fresh:
        without = search(fresh, query, ranking="exhaustive", score="directions")
        assert not fresh._indexes
        fresh.refresh(("slices",))
        assert [one.key for one in search(fresh, query, ranking="exhaustive", score="directions").matches] == [
            one.key for one in without.matches
        ]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The folder of 105 volumes of 24 slices each, more than are compared for ten results."""
    folder = tmp_path_factory.mktemp("many") / "store"
    with VolumeStore.create(folder, RECIPE) as store:
        for number in range(105):
            store.add(new_volume(number, rows=24))
    return folder


@pytest.mark.parametrize("kind", ["numpy", "hnsw", "ivf-sq8"])
@pytest.mark.parametrize("score", ["paper", "default"])
def test_as_many_are_compared_as_results_are_asked_for(many, kind, score):
    if kind != "numpy":
        pytest.importorskip("faiss")
    with SearchSession(many, kind) as opened:
        query = query_from_store(opened.store, opened.store.listing()[0], "query")
        opened.refresh(("pooled",))
        options = [SearchOptions(top=103, score=score, ranking=one) for one in ("two-stage", "exhaustive")]
        found, exact = (ranked(opened, query, one).ranking for one in options)
    assert found.filter == "pooled" and exact.filter == "none"
    expected = "paper" if score == "paper" else "centering+directions+modality+neighbors"
    assert str(found.scoring.parts) == str(exact.scoring.parts) == expected
    np.testing.assert_allclose(found.scores[:103], exact.scores[:103], atol=1e-5)


@pytest.mark.parametrize("kind", ["hnsw", "ivf-sq8"])
def test_what_is_like_a_marked_volume_is_found_whatever_the_index(many, kind):
    pytest.importorskip("faiss")
    found = []
    for one in ("numpy", kind):
        with SearchSession(many, one) as opened:
            records = opened.store.listing()
            query = query_from_store(opened.store, records[0], "query")
            result = search(opened, query, like=(records[70].volume_id,))
            found.append([match.volume_id for match in result.matches])
    assert found[0] == found[1]
    assert records[70].volume_id in found[0]


def test_candidates_by_slices_are_enough_to_ask_their_neighbors(many):
    with SearchSession(many, "numpy") as opened:
        query = query_from_store(opened.store, opened.store.listing()[0], "query")
        opened.refresh(("slices",))
        options = [SearchOptions(distinct=2, filter="slices", ranking=one) for one in ("two-stage", "exhaustive")]
        found, exact = (ranked(opened, query, one).ranking for one in options)
    assert found.filter == "slices" and found.scoring.parts.neighbors
    assert found.keys[:10].tolist() == exact.keys[:10].tolist()
    np.testing.assert_allclose(found.scores[:10], exact.scores[:10], atol=1e-5)


def test_parts_are_named_in_a_text():
    assert ScoreParts.parse("paper") == ScoreParts() and str(ScoreParts()) == "paper"
    assert str(ScoreParts.parse("modality+directions")) == "directions+modality"
    with pytest.raises(QueryError, match=r"'fashion'.*directions"):
        SearchOptions(score="directions+fashion")
