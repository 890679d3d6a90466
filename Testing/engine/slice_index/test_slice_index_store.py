"""The index on a real store: what an indexing process and searching processes do to each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume, volume_id
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex
from VolumeRetrievalEngine.store import VolumeStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with VolumeStore.create(tmp_path / "store", RECIPE) as store:
        for number in range(8):
            store.add(new_volume(number))
        return store.folder


def found_ids(store: VolumeStore, index: SliceIndex) -> set[str]:
    """The volumes that a search with their own first slice finds at its place."""
    ids = set()
    for record in store.listing():
        hits = index.search(store.embeddings(record.key)[:1], 1)
        assert hits.similarity[0, 0] == pytest.approx(1.0, abs=1e-4)
        assert (hits.key[0, 0], hits.row[0, 0]) == (record.key, 0)
        ids.add(record.volume_id)
    return ids


@pytest.mark.parametrize("kind", ["auto", "numpy"])
def test_a_reader_follows_additions_replacements_and_removals(folder: Path, kind: str) -> None:
    with VolumeStore.open(folder) as reader:
        index = SliceIndex.open(folder, reader, kind=kind)
        assert found_ids(reader, index) == {volume_id(number) for number in range(8)}
        with VolumeStore.open(folder, writable=True) as writer:
            writer.add(new_volume(8))
            old = writer.find(volume_id(3)).key
            writer.add(new_volume(3, seed=300))
            writer.remove([volume_id(5)])
            SliceIndex.open(folder, writer, kind=kind, writable=True)
        assert index.sync(reader)
        assert found_ids(reader, index) == {volume_id(number) for number in (0, 1, 2, 3, 4, 6, 7, 8)}
        assert old not in index.keys
        again = SliceIndex.open(folder, reader, kind=kind)
        assert sorted(again.keys.tolist()) == sorted(index.keys.tolist())


def test_an_index_made_anew_is_made_once_and_replaces_the_one_there_was(folder: Path, monkeypatch) -> None:
    pytest.importorskip("faiss")
    with VolumeStore.open(folder, writable=True) as store:
        SliceIndex.open(folder, store, kind="flat", writable=True)
        made, make = [], SliceIndex._rebuild
        monkeypatch.setattr(SliceIndex, "_rebuild", lambda self, *given: (made.append(self.level), make(self, *given)))
        index = SliceIndex.made_anew(folder, store, "slices", "hnsw")
        assert made == ["slices"]
        assert found_ids(store, index) == {volume_id(number) for number in range(8)}
        assert SliceIndex.open(folder, store).kind == "hnsw"
        assert made == ["slices"]


@pytest.mark.parametrize("level", ["slices", "pooled"])
def test_both_levels_hold_every_volume_of_the_store(folder: Path, level: str) -> None:
    with VolumeStore.open(folder) as store:
        index = SliceIndex.open(folder, store, level=level)
        records = store.listing()
        assert sorted(index.keys.tolist()) == [record.key for record in records]
        assert index.n_rows == sum(record.n_rows if level == "slices" else record.n_pooled for record in records)


def test_a_read_only_folder_is_searched_from_memory(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    folder.chmod(0o555)
    try:
        with VolumeStore.open(folder) as store:
            assert len(found_ids(store, SliceIndex.open(folder, store))) == 8
    finally:
        folder.chmod(0o755)
    assert {path.name for path in folder.iterdir()} == before


def test_exact_scores_are_the_same_with_faiss_and_without(folder: Path) -> None:
    pytest.importorskip("faiss")
    with VolumeStore.open(folder) as store:
        query = new_volume(2, seed=77).embeddings
        for level in ("slices", "pooled"):
            keys, scores = SliceIndex.open(folder, store, level=level, kind="flat").scores(query)
            same_keys, same_scores = SliceIndex.open(folder, store, level=level, kind="numpy").scores(query)
            np.testing.assert_array_equal(keys, same_keys)
            np.testing.assert_array_equal(scores, same_scores)
