from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import MemoryStore, archive, stack, variant
from VolumeRetrievalEngine.errors import QueryError
from VolumeRetrievalEngine.method.baselines import rank_by
from VolumeRetrievalEngine.method.filtering import (
    candidates_by_pooled,
    candidates_by_slices,
    filter_for,
    search_distinct,
)
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex

ALL_KINDS = ["numpy", "flat", "hnsw", "ivf-sq8", "lsh"]


@pytest.fixture(autouse=True)
def _needs_faiss(request: pytest.FixtureRequest) -> None:
    if getattr(getattr(request.node, "callspec", None), "params", {}).get("kind", "numpy") != "numpy":
        pytest.importorskip("faiss")


@pytest.fixture
def store() -> MemoryStore:
    return archive()


def exact_order(store: MemoryStore, query: np.ndarray, keys: list[int] | None = None) -> list[int]:
    keys = store.keys if keys is None else keys
    scores = [similarity_matrix(query, store.embeddings(key)).max(axis=1).sum() for key in keys]
    return [keys[i] for i in np.argsort(-np.array(scores), kind="stable")]


def near_duplicates(copies: int) -> tuple[MemoryStore, np.ndarray]:
    """An archive in which a few volumes of many slices are near-duplicates of the query, and its query."""
    rng = np.random.default_rng(7)
    store = archive(seed=7, volumes=50)
    query = stack(rng, 12)
    for _ in range(copies):
        store.add(np.concatenate([variant(rng, query, 0.98) for _repeat in range(10)]))
    return store, query


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_query_slice_reaches_20_distinct_volumes(kind: str) -> None:
    store, query = near_duplicates(copies=5)
    index = SliceIndex.open(None, store, kind=kind)
    # As many rows as volumes are wanted is the naive way, and reaches the near-duplicates only.
    naive = index.search(query, 20)
    assert max(len(np.unique(keys)) for keys in naive.key) < 20
    reached = [len(np.unique(one.key[one.key >= 0])) for one in search_distinct(index, query, 20)]
    assert min(reached) >= 20


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_distinct_volumes_are_reached_among_the_allowed_ones(kind: str) -> None:
    store, query = near_duplicates(copies=5)
    index = SliceIndex.open(None, store, kind=kind)
    allowed = np.array(store.keys[:50:2])
    candidates = candidates_by_slices(index, query, k=20, allowed_keys=allowed)
    assert len(candidates) >= 20
    assert np.isin(candidates.keys, allowed).all()
    everything = candidates_by_slices(index, query, k=1000, allowed_keys=allowed)
    assert sorted(everything.keys.tolist()) == allowed.tolist()


@pytest.mark.parametrize("kind", ["numpy", "flat"])
@pytest.mark.parametrize("n_query", [1, 12])
def test_comparing_all_rows_reaches_what_searching_reaches(
    kind: str, n_query: int, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = stack(np.random.default_rng(8), n_query)
    index = SliceIndex.open(None, store, kind=kind)
    compared = candidates_by_slices(index, query, k=7, allowed_keys=np.array(store.keys[::2]))
    monkeypatch.setattr(SliceIndex, "compares_all", False)
    searched = candidates_by_slices(index, query, k=7, allowed_keys=np.array(store.keys[::2]))
    assert set(compared.keys.tolist()) <= set(searched.keys.tolist())
    first_stage = dict(zip(searched.keys.tolist(), searched.first_stage.tolist(), strict=True))
    # A searching filter knows an upper bound where it did not come upon a volume.
    assert all(score <= first_stage[key] + 1e-5 for key, score in zip(compared.keys, compared.first_stage, strict=True))
    assert 7 <= len(compared) <= 7 * n_query


@pytest.mark.parametrize("kind", ["numpy", "flat", "hnsw", "ivf-sq8"])
@pytest.mark.parametrize("n_query", [1, 2, 20])
def test_the_best_volumes_are_among_the_candidates_of_a_focal_query(
    kind: str, n_query: int, store: MemoryStore
) -> None:
    query = variant(np.random.default_rng(3), store.embeddings(30)[4 : 4 + n_query])
    candidates = candidates_by_slices(SliceIndex.open(None, store, kind=kind), query)
    best = exact_order(store, query)[:10]
    assert set(best) <= set(candidates.keys.tolist())
    assert candidates.keys[0] == best[0]
    assert (np.diff(candidates.first_stage) <= 0).all()


def test_the_first_stage_of_an_exhausted_search_is_the_exact_score(store: MemoryStore) -> None:
    query = stack(np.random.default_rng(4), 9)
    candidates = candidates_by_slices(SliceIndex.open(None, store, kind="numpy"), query, k=1000)
    assert candidates.keys.tolist() == exact_order(store, query)
    best = similarity_matrix(query, store.embeddings(int(candidates.keys[0]))).max(axis=1).mean()
    assert candidates.first_stage[0] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("kind", ["numpy", "flat", "hnsw", "ivf-sq8"])
def test_pooled_candidates_hold_follow_ups_and_keep_their_order(kind: str) -> None:
    rng = np.random.default_rng(11)
    store = archive(seed=11)
    query = stack(rng, 60)
    follow_ups = [store.add(variant(rng, query, cosine)) for cosine in (0.95, 0.9, 0.8)]
    index = SliceIndex.open(None, store, level="pooled", kind=kind)
    candidates = candidates_by_pooled(index, query, 3.0 * np.arange(60), rerank=15)
    assert candidates.keys[:3].tolist() == follow_ups
    assert len(candidates) == 15
    assert set(exact_order(store, query)[:5]) <= set(candidates.keys.tolist())


def test_pooled_candidates_respect_the_allowed_volumes(store: MemoryStore) -> None:
    index = SliceIndex.open(None, store, level="pooled", kind="numpy")
    query = store.embeddings(5)
    allowed = np.array([key for key in store.keys if key != 5])
    candidates = candidates_by_pooled(index, query, 3.0 * np.arange(len(query)), rerank=None, allowed_keys=allowed)
    assert sorted(candidates.keys.tolist()) == allowed.tolist()


def test_queries_of_more_than_20_slices_are_pooled() -> None:
    assert [filter_for(n) for n in (1, 20, 21, 300)] == ["slices", "slices", "pooled", "pooled"]


def known_archive() -> tuple[SliceIndex, np.ndarray]:
    """Four volumes in a plane, whose similarities to two query slices can be read off."""

    def at(*degrees: float) -> np.ndarray:
        angles = np.radians(degrees)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    store = MemoryStore()
    for rows in (at(1, 10, 11), at(2, 3, 90), at(88, 91), at(180)):
        store.add(rows)
    return SliceIndex.open(None, store, kind="numpy"), at(0, 90)


def test_the_baselines_rank_by_count_sum_and_maximum() -> None:
    index, query = known_archive()
    # The three nearest: 0 degrees -> 1, 2, 3 (volumes 1, 2, 2); 90 degrees -> 90, 91, 88 (volumes 2, 3, 3).
    count = rank_by("count", index, query, 3)
    assert count.keys.tolist() == [2, 3, 1]
    assert count.first_stage.tolist() == [3, 2, 1]
    total = rank_by("sum", index, query, 3)
    assert total.keys.tolist() == [2, 3, 1]
    assert total.first_stage[1] == pytest.approx(np.cos(np.radians(1)) + np.cos(np.radians(2)), abs=1e-6)
    maximum = rank_by("maximum", index, query, 3)
    assert maximum.keys[0] == 2
    assert maximum.first_stage[0] == pytest.approx(1.0)
    np.testing.assert_allclose(maximum.first_stage[1:], np.cos(np.radians(1)), atol=1e-6)


def test_equal_counts_are_ordered_by_the_sum_of_similarities() -> None:
    index, query = known_archive()
    # The one nearest: 0 degrees -> 1 (volume 1), 90 degrees -> 90 (volume 2): one hit each, volume 2's is nearer.
    assert rank_by("count", index, query, 1).keys.tolist() == [2, 1]


def test_a_baseline_ranks_allowed_volumes_only() -> None:
    index, query = known_archive()
    assert set(rank_by("count", index, query, 10, np.array([1, 4])).keys.tolist()) == {1, 4}
    with pytest.raises(QueryError, match="count, sum or maximum"):
        rank_by("median", index, query)  # type: ignore[arg-type]


def test_an_empty_archive_has_no_candidates() -> None:
    index = SliceIndex.open(None, MemoryStore(), kind="numpy")
    query = stack(np.random.default_rng(0), 30)
    assert len(candidates_by_slices(index, query)) == 0
    assert len(candidates_by_pooled(index, query, np.arange(30.0))) == 0
    assert len(rank_by("count", index, query)) == 0


def test_an_empty_query_is_refused(store: MemoryStore) -> None:
    index = SliceIndex.open(None, store, kind="numpy")
    for ask in (candidates_by_slices, lambda i, q: rank_by("sum", i, q)):
        with pytest.raises(QueryError, match="one or more slices"):
            ask(index, np.empty((0, 32), np.float32))
    with pytest.raises(QueryError, match="one or more slices"):
        candidates_by_pooled(index, np.empty((0, 32), np.float32), np.empty(0))


def test_a_large_pooled_index_is_searched_and_only_what_was_reached_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("faiss")
    rng = np.random.default_rng(12)
    store = archive(seed=12, volumes=150)
    query = stack(rng, 50)
    follow_up = store.add(variant(rng, query))
    index = SliceIndex.open(None, store, level="pooled", kind="hnsw")
    compared: list[np.ndarray] = []
    scores = SliceIndex.scores
    monkeypatch.setattr(SliceIndex, "scores", lambda self, q, keys: (compared.append(keys), scores(self, q, keys))[1])
    candidates = candidates_by_pooled(index, query, 3.0 * np.arange(50), k=10)
    assert candidates.keys[0] == follow_up
    assert 10 <= len(compared[0]) < 151
    assert sorted(candidates.keys.tolist()) == sorted(compared[0].tolist())
