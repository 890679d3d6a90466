from __future__ import annotations

import numpy as np
import pytest
from engine.memory_store import stack
from VolumeRetrievalEngine.method.reciprocal import (
    NODES,
    WEIGHT,
    agreement,
    mutual_similarity,
    with_agreement,
)


def two_groups(size: int, between: float) -> np.ndarray:
    """Similarities of nodes of two groups: the query's, and another one of the same size."""
    rng = np.random.default_rng(0)
    is_first = np.arange(2 * size) < size
    similarity = np.where(is_first[:, None] == is_first, 0.7, between) + rng.uniform(0, 0.02, (2 * size, 2 * size))
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, 1.0)
    return similarity


@pytest.mark.parametrize("size", [NODES // 2, NODES])
def test_nodes_of_the_querys_group_agree_with_it(size: int) -> None:
    agreed = agreement(two_groups(size, between=0.4))
    assert agreed.shape == (2 * size - 1,) and agreed.dtype == np.float32
    assert agreed[: size - 1].min() > 2 * agreed[size - 1 :].max()


def test_a_near_node_of_another_group_agrees_less_than_a_farther_one_of_the_same() -> None:
    similarity = two_groups(20, between=0.4)
    similarity[0, 1] = similarity[1, 0] = 0.8
    similarity[0, 20] = similarity[20, 0] = 0.75  # the next, but its other neighbors are the other group
    agreed = agreement(similarity)
    assert similarity[0, 20] > similarity[0, 2:20].max()
    assert agreed[19] < agreed[:19].min()


def test_the_same_volume_agrees_wholly() -> None:
    similarity = two_groups(20, between=0.4)
    similarity[7], similarity[:, 7] = similarity[0], similarity[:, 0]
    similarity[7, 7] = 1.0
    agreed = agreement(similarity)
    assert agreed[6] == pytest.approx(1.0, abs=1e-6)
    assert np.delete(agreed, 6).max() < 1.0


def test_two_nodes_can_be_compared_and_one_alone_has_nothing_to_say() -> None:
    assert agreement(np.ones((2, 2))) == pytest.approx([1.0])
    assert agreement(np.ones((1, 1))).shape == (0,)


def test_volumes_are_compared_in_both_directions() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    np.testing.assert_allclose(mutual_similarity(rows, np.array([0, 2, 3])), [[1.0, 0.75], [0.75, 1.0]])


def test_long_volumes_are_shortened_without_a_change_to_who_is_like_whom() -> None:
    rng = np.random.default_rng(3)
    slices = [np.repeat(stack(rng, 9), 8, axis=0), np.repeat(stack(rng, 9), 8, axis=0), stack(rng, 5)]
    offsets = np.cumsum([0, *map(len, slices)])
    similarity = mutual_similarity(np.concatenate(slices), offsets)
    each_once = [slices[0][::8], slices[1][::8], slices[2]]
    expected = mutual_similarity(np.concatenate(each_once), np.cumsum([0, *map(len, each_once)]))
    np.testing.assert_allclose(np.diag(similarity), 1.0, atol=1e-6)
    np.testing.assert_allclose(similarity, expected, atol=0.1)


def test_what_does_not_agree_is_subtracted() -> None:
    scores = np.array([1.0, 0.5, 0.5], np.float32)
    agreed = np.array([1.0, 0.5, 0.0], np.float32)
    np.testing.assert_allclose(with_agreement(scores, agreed), [1.0, 0.5 - WEIGHT / 2, 0.5 - WEIGHT])
