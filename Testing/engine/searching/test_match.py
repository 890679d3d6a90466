"""A match keeps its shape from the search worker to whoever asked it."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest
from engine.archives import a_scan, write_archive
from VolumeRetrievalEngine.errors import QueryError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.volume import SliceTable, Volume


@pytest.fixture(scope="module", params=["two-stage", "exhaustive"])
def sent(request, tmp_path_factory) -> tuple[SearchResult, SearchResult]:
    """A result, and the same after it went through a pipe."""
    folder = tmp_path_factory.mktemp("match")
    write_archive(folder / "archive", range(1))
    retriever = Retriever.create(folder / "store", "descriptor")
    retriever.add([folder / "archive"])
    scan = a_scan(7, "chest")
    result = retriever.search(
        Volume.from_array(scan.voxels, scan.affine), options=SearchOptions(ranking=request.param), name="Größe 胸部"
    )
    return result, SearchResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, SliceTable):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, float) and np.isnan(one):
        return isinstance(other, float) and np.isnan(other)
    return type(one) is type(other) and one == other


def test_every_field_of_a_result_is_read_back_as_it_was(sent):
    before, after = sent
    assert before.search_id and len(before.matches) == 3
    for one in fields(SearchResult):
        if one.name not in ("matches", "query_thumbnail"):
            assert same(getattr(before, one.name), getattr(after, one.name)), one.name
    assert after.query_thumbnail(0) == b""
    assert after.to_dict() == before.to_dict()


def test_every_field_of_a_match_but_the_matrix_is_read_back_as_it_was(sent):
    for before, after in zip(*(one.matches for one in sent), strict=True):
        assert before.key > 0 and before.files.paths and before.ranges and before.correspondence is not None
        for one in fields(Match):
            if one.name not in ("similarity", "correspondence"):
                assert same(getattr(before, one.name), getattr(after, one.name)), one.name
        for one in fields(before.correspondence):
            assert same(getattr(before.correspondence, one.name), getattr(after.correspondence, one.name)), one.name
        assert before.similarity is not None and after.similarity is None


def test_matches_can_be_compared(sent):
    before, after = sent
    assert (before.matches[0] == before.matches[1], after == after) == (False, True)


def test_the_answer_does_not_hold_what_is_sent_on_request(sent):
    assert "similarity" not in sent[0].to_dict()["matches"][0]


def test_a_point_of_a_result_goes_back_to_the_point_of_the_query_that_it_came_from(sent):
    before, after = sent
    for one, other in zip(before.matches, after.matches, strict=True):
        if one.point_map is None:
            with pytest.raises(QueryError):
                one.map_back(np.zeros((1, 3)))
            continue
        body = one.point_map.query.slab(*one.point_map.query_mm[[0, -1]])
        points = 0.5 * (body.corners() + body.center)
        there = one.map_points(points)
        np.testing.assert_allclose(one.map_back(there), points, atol=0.5)
        assert np.array_equal(other.map_points(points), there)
