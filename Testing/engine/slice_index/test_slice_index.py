from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from engine.memory_store import MemoryStore, archive, stack
from VolumeRetrievalEngine.errors import MissingPackageError, QueryError
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.method.row_search import Hits
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.slice_index import exact_index, faiss_index, index_file, slice_index
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex

EXACT_KINDS = ["numpy", "flat"]
FAISS_KINDS = ["flat", "hnsw", "ivf-sq8", "lsh"]
ALL_KINDS = ["numpy", *FAISS_KINDS]


@pytest.fixture(autouse=True)
def _needs_faiss(request: pytest.FixtureRequest) -> None:
    kind = getattr(getattr(request.node, "callspec", None), "params", {}).get("kind", "numpy")
    if kind != "numpy":
        pytest.importorskip("faiss")


@pytest.fixture
def store() -> MemoryStore:
    return archive()


@pytest.fixture
def queries() -> np.ndarray:
    return stack(np.random.default_rng(99), 25)


def brute_force(store: MemoryStore, queries: np.ndarray, k: int, keys: list[int]) -> tuple[np.ndarray, list[list]]:
    """The k nearest rows of these volumes, one by one: similarities [q, k] and (key, row) of each."""
    rows = np.concatenate([store.embeddings(key) for key in keys])
    names = [(key, row) for key in keys for row in range(len(store.embeddings(key)))]
    similarity = queries @ rows.T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, order, axis=1), [[names[i] for i in one] for one in order]


def names(hits: Hits) -> list[list[tuple[int, int]]]:
    return [list(zip(k.tolist(), r.tolist(), strict=True)) for k, r in zip(hits.key, hits.row, strict=True)]


def assert_exact(index: SliceIndex, store: MemoryStore, queries: np.ndarray, keys: list[int] | None = None) -> None:
    allowed = None if keys is None else np.array(keys, np.int64)
    hits = index.search(queries, 7, allowed)
    similarity, expected = brute_force(store, queries, 7, store.keys if keys is None else keys)
    np.testing.assert_allclose(hits.similarity, similarity, atol=1e-5)
    assert names(hits) == expected


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_exact_kinds_find_what_brute_force_finds(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    assert (index.kind, index.n_volumes) == (kind, 60)
    assert_exact(index, store, queries)
    assert_exact(index, store, queries, store.keys[::3])
    assert_exact(index, store, queries[:1], store.keys[5:6])


@pytest.mark.parametrize("kind", ["hnsw", "ivf-sq8"])
def test_approximate_kinds_find_most_of_what_is_there(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    found, expected = names(index.search(queries, 10)), brute_force(store, queries, 10, store.keys)[1]
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, expected, strict=True)])
    assert share >= 0.9


def test_lsh_finds_the_row_itself_and_estimates_its_cosine(store: MemoryStore) -> None:
    pytest.importorskip("faiss")
    index = SliceIndex.open(None, store, kind="lsh")
    hits = index.search(store.embeddings(7), 5)
    assert (hits.key[:, 0] == 7).all()
    true = [store.embeddings(k)[r] for k, r in zip(hits.key[:, 4], hits.row[:, 4], strict=True)]
    cosine = np.einsum("nd,nd->n", store.embeddings(7), np.array(true))
    assert np.abs(hits.similarity[:, 4] - cosine).mean() < 0.15


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("share", [1, 2, 20])
def test_a_filter_applies_inside_and_leaves_k_results(
    kind: str, share: int, store: MemoryStore, queries: np.ndarray
) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    allowed = np.array(store.keys[::share])
    hits = index.search(queries, 12, allowed)
    assert hits.key.shape == (25, 12)
    assert np.isin(hits.key, allowed).all()
    assert (np.diff(hits.similarity, axis=1) <= 0).all()
    assert all(len(set(one)) == 12 for one in names(hits))


def test_lists_are_searched_further_where_few_volumes_may_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    store = archive(volumes=200)
    index, allowed = SliceIndex.open(None, store, kind="ivf-sq8"), np.array(store.keys[::20])
    queries = np.concatenate([store.embeddings(key)[:1] for key in store.keys[1:40]])
    found = {}
    for probes in (2, 10_000):  # the second searches all lists
        monkeypatch.setattr(faiss_index, "IVF_PROBES", probes)
        found[probes] = names(index.search(queries, 5, allowed))
    shared = [len(set(few) & set(every)) for few, every in zip(*found.values(), strict=True)]
    assert np.mean(shared) >= 0.8 * 5


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_fewer_rows_than_asked_for_are_padded(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    key = store.keys[4]
    n = len(store.embeddings(key))
    hits = index.search(queries, n + 5, np.array([key, 10_000]))
    assert (hits.key[:, :n] == key).all()
    assert [sorted(one) for one in hits.row[:, :n].tolist()] == [list(range(n))] * 25
    assert (hits.key[:, n:] == -1).all()
    assert (hits.row[:, n:] == -1).all()
    assert np.isneginf(hits.similarity[:, n:]).all()
    nothing = index.search(queries, 3, np.array([10_000]))
    assert (nothing.key == -1).all()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_removed_volumes_are_not_found(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    gone = names(index.search(queries, 1))[0][0][0]
    store.remove(gone)
    assert index.sync(store)
    assert not (index.search(queries, 50).key == gone).any()
    assert not (index.search(queries, 50, np.array([*store.keys, gone])).key == gone).any()
    assert gone not in index.keys


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_catching_up_equals_making_the_index_anew(kind: str, queries: np.ndarray, tmp_path: Path) -> None:
    store = archive(volumes=30)
    index = SliceIndex.open(tmp_path, store, kind=kind, writable=True)
    rng = np.random.default_rng(5)
    for n in (12, 1, 33):
        store.add(stack(rng, n))
    store.remove(store.keys[3], store.keys[31])
    store.reads = 0
    index.sync(store)
    assert store.reads == 2  # one of the three new ones is gone again
    anew = SliceIndex.open(None, store, kind=kind)
    assert index.generation == anew.generation == store.generation
    assert index.n_rows == anew.n_rows == sum(len(store.embeddings(key)) for key in store.keys)
    assert index.keys.tolist() == anew.keys.tolist() == store.keys
    a, b = index.search(queries, 5), anew.search(queries, 5)
    if kind in EXACT_KINDS:
        assert names(a) == names(b)
        assert_exact(index, store, queries)
    else:  # trained on other rows, or a graph grown in another order
        assert np.mean([len(set(x) & set(y)) / 5 for x, y in zip(names(a), names(b), strict=True)]) > 0.7
    assert not index.sync(store)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_an_index_of_which_a_fifth_is_dead_is_made_anew(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    size = index.size_bytes
    store.remove(*store.keys[:30])
    store.reads = 0
    index.sync(store)
    assert store.reads >= 30
    assert index.size_bytes < size
    assert index.keys.tolist() == store.keys
    assert (index.search(queries, 3).key > 30).all()


@pytest.mark.parametrize("kind", FAISS_KINDS)
def test_the_file_is_read_again_without_touching_embeddings(
    kind: str, store: MemoryStore, queries: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "Bücher und Ärzte"
    folder.mkdir()
    written = SliceIndex.open(folder, store, kind=kind, writable=True)
    store.reads = 0
    read = SliceIndex.open(folder, store, kind=kind)
    assert store.reads == 0
    assert names(read.search(queries, 5)) == names(written.search(queries, 5))
    assert [one.name for one in folder.iterdir()] == ["slices.index"]


def test_a_reader_sees_what_a_writer_added_and_leaves_the_file_alone(
    store: MemoryStore, queries: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("faiss")
    SliceIndex.open(tmp_path, store, kind="flat", writable=True)
    reader = SliceIndex.open(tmp_path, store)
    before = (tmp_path / "slices.index").read_bytes()
    key = store.add(queries)
    assert reader.sync(store)
    assert (reader.search(queries, 1).key == key).all()
    assert (tmp_path / "slices.index").read_bytes() == before


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_byte_of_the_rows(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


def _flip_a_byte_of_the_map(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-60] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip_a_byte_of_the_rows,
        _flip_a_byte_of_the_map,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no index"),
        lambda path: path.unlink(),
    ],
    ids=["truncated", "rows", "map", "empty", "text", "lost"],
)
@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-sq8"])
def test_a_lost_or_damaged_index_is_made_again(
    kind: str, damage, store: MemoryStore, queries: np.ndarray, tmp_path: Path
) -> None:
    expected = names(SliceIndex.open(tmp_path, store, kind=kind, writable=True).search(queries, 5))
    path = tmp_path / "slices.index"
    damage(path)
    assert names(SliceIndex.open(tmp_path, store, kind=kind).search(queries, 5)) == expected
    SliceIndex.open(tmp_path, store, kind=kind, writable=True)
    store.reads = 0
    assert names(SliceIndex.open(tmp_path, store, kind=kind).search(queries, 5)) == expected
    assert store.reads == 0  # the writer mended the file


def test_the_index_of_another_store_at_the_same_place_is_not_used(queries: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    SliceIndex.open(tmp_path, archive(seed=1), kind="flat", writable=True)
    other = archive(seed=2)
    assert_exact(SliceIndex.open(tmp_path, other, kind="flat", writable=True), other, queries)


def test_the_index_of_a_store_that_was_put_back_from_a_copy_is_not_used(
    store: MemoryStore, queries: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("faiss")
    copy = archive()
    copy.store_id = store.store_id
    store.add(queries)
    SliceIndex.open(tmp_path, store, kind="flat", writable=True)
    copy.add(queries[:4])
    copy.add(queries[5:])
    assert_exact(SliceIndex.open(tmp_path, copy, kind="flat"), copy, queries)


def test_an_index_that_the_store_cannot_tell_the_difference_to_is_made_again(
    store: MemoryStore, queries: np.ndarray
) -> None:
    index = SliceIndex.open(None, store, kind="numpy")
    store.remove(store.keys[0])
    store.add(queries[:9])
    store.forgets_tombstones_before = store.generation
    index.sync(store)
    assert_exact(index, store, queries)


def test_a_folder_that_cannot_be_written_is_no_error(
    store: MemoryStore, queries: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("faiss")
    with caplog.at_level(logging.WARNING):
        index = SliceIndex.open(tmp_path / "absent", store, kind="flat", writable=True)
    assert "not saved" in caplog.text
    assert_exact(index, store, queries)


def test_no_unfinished_file_is_left_behind(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    (tmp_path / "slices.index.4711.tmp").write_bytes(b"of a process that was killed")

    def stopped(index: object, file: BinaryIO) -> int:
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(faiss_index.FaissIndex, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            SliceIndex.open(tmp_path, store, kind="flat", writable=True)
    assert list(tmp_path.iterdir()) == []
    SliceIndex.open(tmp_path, store, kind="flat", writable=True)
    assert [one.name for one in tmp_path.iterdir()] == ["slices.index"]


@pytest.mark.parametrize("kind", ["ivf-sq8", "flat"])
def test_a_large_file_is_mapped_by_readers_which_keep_new_rows_beside_it(
    kind: str, store: MemoryStore, queries: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faiss = pytest.importorskip("faiss")
    if kind == "flat" and not hasattr(faiss, "IO_FLAG_MMAP_IFC"):
        pytest.skip("this faiss maps IVF files only")
    SliceIndex.open(tmp_path, store, kind=kind, writable=True)
    monkeypatch.setattr(index_file, "MAP_ABOVE_BYTES", 1000)
    reader = SliceIndex.open(tmp_path, store, kind=kind)
    key = store.add(queries)
    store.remove(store.keys[2])
    reader.sync(store)
    hits = reader.search(queries, 8)
    assert (hits.key[:, 0] == key).all()
    assert not (hits.key == 3).any()
    filtered = reader.search(queries, 8, np.array(store.keys[:20]))
    assert (filtered.key <= 21).all()
    if kind == "flat":
        assert_exact(reader, store, queries)


def test_a_large_file_is_not_written_again_for_little(
    store: MemoryStore, queries: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    SliceIndex.open(tmp_path, store, kind="ivf-sq8", writable=True)
    file = tmp_path / "slices.index"
    written = file.read_bytes()
    monkeypatch.setattr(index_file, "MAP_ABOVE_BYTES", 1000)
    key = store.add(queries)
    behind = len(queries) / SliceIndex.open(None, store).n_rows

    monkeypatch.setattr(slice_index, "BEHIND_SHARE", 1.1 * behind)
    left = SliceIndex.open(tmp_path, store, writable=True)
    assert file.read_bytes() == written
    assert (left.search(queries, 1).key == key).all()

    monkeypatch.setattr(slice_index, "BEHIND_SHARE", 0.9 * behind)
    SliceIndex.open(tmp_path, store, writable=True)
    assert file.read_bytes() != written
    store.reads = 0
    assert (SliceIndex.open(tmp_path, store).search(queries, 1).key == key).all()
    assert store.reads == 0


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_rows_next_to_a_mapped_file_are_scored_like_those_in_it(
    kind: str, store: MemoryStore, queries: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(pytest.importorskip("faiss"), "IO_FLAG_MMAP_IFC"):
        pytest.skip("this faiss maps IVF files only")
    SliceIndex.open(tmp_path, store, kind=kind, writable=True)
    monkeypatch.setattr(index_file, "MAP_ABOVE_BYTES", 1000)
    reader = SliceIndex.open(tmp_path, store)
    store.add(queries)
    reader.sync(store)
    assert reader.holds_rows
    whole = SliceIndex.open(None, store, kind="numpy")
    for compare in ("scores", "directions", "maxima"):
        keys, values = getattr(reader, compare)(queries)
        expected_keys, expected = getattr(whole, compare)(queries)
        assert keys.tolist() == expected_keys.tolist()
        np.testing.assert_allclose(values, expected, atol=1e-4)


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes take the rows of a few volumes at once."""
    for module, name in (
        (exact_index, "ROWS_AT_A_TIME"),
        (faiss_index, "ROWS_AT_A_TIME"),
        (faiss_index, "_HNSW_ROWS_AT_A_TIME"),
    ):
        monkeypatch.setattr(module, name, 200)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.usefixtures("few_at_a_time")
def test_building_can_be_followed(kind: str, store: MemoryStore) -> None:
    steps: list[Progress] = []
    SliceIndex.open(None, store, kind=kind, progress=steps.append)
    assert {(step.stage, step.total, step.item) for step in steps} == {("build", 60, "search index of slices")}
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert 0 < max(done) < 60
    assert all(step.remaining is not None for step in steps if step.done)
    assert done.count(0) == (10 if kind == "ivf-sq8" else 0)  # its lists are trained first


@pytest.mark.parametrize("kind", EXACT_KINDS)
@pytest.mark.usefixtures("few_at_a_time")
def test_a_build_that_is_stopped_writes_nothing_and_can_go_on(
    kind: str, store: MemoryStore, queries: np.ndarray, tmp_path: Path
) -> None:
    def stop(step: Progress) -> None:
        if step.done > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        SliceIndex.open(tmp_path, store, kind=kind, writable=True, progress=stop)
    assert list(tmp_path.iterdir()) == []

    later = archive(seed=4)
    index = SliceIndex.open(None, MemoryStore(), kind=kind)
    with pytest.raises(Cancelled):
        index.sync(later, stop)
    index.sync(later)
    assert later.reads == len(later.keys) + 1  # none twice, but the first, which tells the length of a row
    assert_exact(index, later, queries)


def test_what_is_added_at_once_is_not_reported(store: MemoryStore) -> None:
    def fail(step: Progress) -> None:
        raise AssertionError(step)

    SliceIndex.open(None, store, progress=fail)


def test_without_faiss_the_search_is_exact_and_the_same(
    store: MemoryStore, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("faiss")
    with_faiss = SliceIndex.open(tmp_path, store, writable=True)
    assert with_faiss.kind == "flat"
    filters = (None, np.array(store.keys[::4]))
    expected = [with_faiss.search(queries, 9, allowed) for allowed in filters]

    def missing() -> None:
        raise MissingPackageError("faiss-cpu", "An approximate index")

    for module in (slice_index, faiss_index):
        monkeypatch.setattr(module, "load_faiss", missing)
    without = SliceIndex.open(tmp_path, store)
    assert without.kind == "numpy"
    for allowed, found in zip(filters, expected, strict=True):
        assert names(without.search(queries, 9, allowed)) == names(found)
        np.testing.assert_allclose(without.search(queries, 9, allowed).similarity, found.similarity, atol=1e-6)
    with pytest.raises(MissingPackageError, match="pip install faiss-cpu"):
        SliceIndex.open(None, store, kind="hnsw")


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_equal_rows_come_in_the_order_they_were_added(kind: str) -> None:
    store = MemoryStore()
    row = stack(np.random.default_rng(0), 1)
    for _ in range(6):
        store.add(row)
    hits = SliceIndex.open(None, store, kind=kind).search(row, 6)
    assert hits.key.tolist() == [[1, 2, 3, 4, 5, 6]]


def test_many_equal_similarities_keep_the_lower_rows() -> None:
    row = stack(np.random.default_rng(0), 1)
    _similarity, found = exact_index.nearest_rows(row, np.repeat(row, 50_000, axis=0), 4)
    assert found.tolist() == [[0, 1, 2, 3]]


def test_the_kind_follows_the_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    store = archive(volumes=20)
    rows = sum(len(store.embeddings(key)) for key in store.keys)
    monkeypatch.setattr(slice_index, "FLAT_BYTES", {"slices": 4 * 32 * (rows + 50), "pooled": 4 * 32 * 50})
    monkeypatch.setattr(slice_index, "HNSW_BYTES", {"slices": 4 * 32 * (rows + 200), "pooled": 0})
    index = SliceIndex.open(tmp_path, store, writable=True)
    assert index.kind == "flat"
    rng = np.random.default_rng(3)
    store.add(stack(rng, 100))
    index.sync(store)
    assert index.kind == "hnsw"
    store.add(stack(rng, 200))
    index.sync(store)
    assert index.kind == "ivf-sq8"
    assert SliceIndex.open(tmp_path, store).kind == "ivf-sq8"
    assert SliceIndex.open(tmp_path, store, "pooled").kind == "ivf-sq8"


def test_an_ivf_index_that_has_grown_many_times_gets_new_lists(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    store = archive(volumes=2)
    index = SliceIndex.open(tmp_path, store, kind="ivf-sq8", writable=True)
    rng = np.random.default_rng(4)
    for _ in range(100):
        store.add(stack(rng, 30))
    store.reads = 0
    index.sync(store)
    assert store.reads >= 102


def test_float16_rows_are_searched_nearly_the_same(
    store: MemoryStore, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_index, "FLOAT32_BYTES", 1000)
    index = SliceIndex.open(None, store, kind="numpy")
    assert index.size_bytes < 3 * 32 * index.n_rows
    similarity, _expected = brute_force(store, queries, 5, store.keys)
    np.testing.assert_allclose(index.search(queries, 5).similarity, similarity, atol=1e-3)


@pytest.mark.parametrize("kind", ["numpy", "flat", "hnsw"])
def test_scores_are_the_late_interaction_of_the_volumes_asked_for(
    kind: str, store: MemoryStore, queries: np.ndarray
) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    store.remove(8)
    index.sync(store)
    keys, scores = index.scores(queries, np.array([9, 3, 8, 777]))
    assert keys.tolist() == [3, 9]
    expected = [similarity_matrix(queries, store.embeddings(key)).max(axis=1).sum() for key in (3, 9)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert index.scores(queries)[0].tolist() == store.keys


def test_the_pooled_level_indexes_pooled_rows(store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, level="pooled", kind="numpy")
    assert index.n_rows == len(store.many_pooled(store.keys)[0])
    pooled = store.many_pooled([17])[0]
    assert (index.search(pooled, 1).key == 17).all()


@pytest.mark.parametrize("kind", ["auto", "numpy"])
def test_an_empty_store_finds_nothing_until_something_comes(kind: str, queries: np.ndarray, tmp_path: Path) -> None:
    store = MemoryStore()
    index = SliceIndex.open(tmp_path, store, kind=kind, writable=True)
    assert (index.search(queries, 4).key == -1).all()
    assert index.scores(queries)[0].shape == (0,)
    key = store.add(queries)
    index.sync(store)
    assert (index.search(queries, 1).key == key).all()
    store.remove(key)
    index.sync(store)
    assert (index.search(queries, 1).key == -1).all()


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_a_query_of_another_length_is_refused(kind: str, store: MemoryStore, queries: np.ndarray) -> None:
    index = SliceIndex.open(None, store, kind=kind)
    with pytest.raises(QueryError, match="20 values, the archive's 32"):
        index.search(queries[:, :20], 3)


def test_an_unknown_kind_is_refused_with_the_known_ones(store: MemoryStore) -> None:
    with pytest.raises(QueryError, match="ivf-sq8"):
        SliceIndex.open(None, store, kind="annoy")


def test_flat_uses_matrix_products_from_20_queries_on() -> None:
    faiss = pytest.importorskip("faiss")
    faiss_index.load_faiss()
    if not hasattr(faiss.cvar, "distance_compute_blas_threshold"):
        pytest.skip("this faiss has no such threshold")
    assert faiss.cvar.distance_compute_blas_threshold == 20
