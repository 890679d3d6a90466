"""The archive's mean embedding: kept by the writer, computed where nobody kept it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.archive_mean import AT_LEAST, archive_mean, keep_mean


@pytest.fixture
def store(tmp_path):
    with VolumeStore.create(tmp_path / "store", RECIPE) as opened:
        for number in range(AT_LEAST):
            opened.add(new_volume(number))
        yield opened


def test_an_older_store_has_a_mean_without_being_written(store):
    generation = store.generation
    expected = np.mean([store.many_pooled([key])[0].mean(axis=0) for key in store.keys().tolist()], axis=0)
    np.testing.assert_allclose(archive_mean(store), expected, atol=1e-6)
    assert store.meta("mean") is None and store.generation == generation


def test_a_few_volumes_have_none(store):
    store.remove([store.listing()[0].volume_id])
    assert archive_mean(store) is None
    keep_mean(store)
    assert store.meta("mean") is None


def test_a_kept_mean_stays_until_the_archive_has_doubled(store):
    keep_mean(store)
    kept, before = store.meta("mean"), archive_mean(store)
    store.add(new_volume(AT_LEAST))
    keep_mean(store)
    assert store.meta("mean") == kept
    np.testing.assert_array_equal(archive_mean(store), before)
    for number in range(AT_LEAST, 2 * AT_LEAST):
        store.add(new_volume(number))
    keep_mean(store)
    assert json.loads(store.meta("mean"))["volumes"] == 2 * AT_LEAST
    assert not np.array_equal(archive_mean(store), before)


def test_a_mean_that_has_moved_is_replaced(store):
    keep_mean(store)
    moved = archive_mean(store)
    far = new_volume(0).embeddings[0]
    for number in range(AT_LEAST // 2):  # half the archive becomes something else
        entry = new_volume(number)
        store.add(type(entry)(**{**entry.__dict__, "pooled": np.tile(far, (len(entry.pooled), 1))}))
    keep_mean(store)
    assert np.linalg.norm(archive_mean(store) - moved) > 0.1


@pytest.mark.parametrize("text", ["", "{}", "null", "[1]", '{"volumes": 20, "float32": "AAAA"}', '{"volumes": 2}'])
def test_a_mean_that_cannot_be_read_is_computed(store, text):
    expected = archive_mean(store)
    store.set_meta("mean", text)
    np.testing.assert_array_equal(archive_mean(store), expected)
