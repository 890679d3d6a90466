from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import archive, stack
from VolumeRetrievalEngine.method.directions import combined, scores_in_both_directions
from VolumeRetrievalEngine.method.late_interaction import similarity_matrix
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex


def test_each_direction_is_the_mean_of_the_greatest_similarities() -> None:
    store = archive(volumes=8)
    query = stack(np.random.default_rng(1), 12)
    keys, both = SliceIndex.open(None, store, kind="numpy").directions(query, np.array([2, 5, 6]))
    for place, key in enumerate(keys):
        similarity = similarity_matrix(query, store.embeddings(key))
        expected = [similarity.max(axis=1).mean(), similarity.max(axis=0).mean()]
        np.testing.assert_allclose(both[:, place], expected, atol=1e-6)


def test_a_part_of_the_query_is_less_like_it_than_itself_and_more_than_what_holds_much_else() -> None:
    rng = np.random.default_rng(2)
    query = stack(rng, 20)
    larger = np.concatenate((query, stack(rng, 60)))
    rows, first, count = np.concatenate((query, larger)), np.array([0, 20]), np.array([20, 80])
    both = scores_in_both_directions(query, rows, first, count)
    assert both[0] == pytest.approx(1.0, abs=1e-5)  # the paper's score sees no difference
    itself, holds_more = combined(both)
    assert itself == pytest.approx(1.0, abs=1e-5)
    assert holds_more < 0.95
