"""How unusual a similarity is among what the archive's volumes reach as neighbors."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pytest
from VolumeRetrievalEngine.method.likeness import AT_LEAST, likeness_scores, neighbor_levels, standings

#: Rows of each volume, and values of each row.
ROWS, LENGTH = 4, 16


def a_volume(random, kind: int, noise: float = 0.3) -> np.ndarray:
    """Unit rows of one of two kinds of anatomy, which have nothing in common."""
    rows = random.normal(scale=noise, size=(ROWS, LENGTH)).astype(np.float32)
    rows[np.arange(ROWS), ROWS * kind + np.arange(ROWS)] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Archive:
    """Volumes of two kinds of anatomy, of so many owners."""

    def __init__(self, count: int, owners: int | None = None):
        random = np.random.default_rng(1)
        self.volumes = [a_volume(random, number % 2) for number in range(count)]
        self.keys = np.arange(count) + 100
        self.owners = [number % (owners or count) for number in range(count)]

    def read(self, keys):
        chosen = [self.volumes[key - 100] for key in keys]
        return np.concatenate(chosen), np.cumsum([0, *map(len, chosen)])

    @cached_property
    def levels(self):
        return neighbor_levels(self.keys, self.owners, self.read)

    def standing(self, query, is_whole=True):
        """Of the results, best first."""
        levels = self.levels
        scores = np.sort(likeness_scores(query, *self.read(self.keys), is_whole))[::-1]
        ordinary = np.median(likeness_scores(query, *self.read(levels.ordinary_keys), is_whole))
        return standings(levels, scores, float(ordinary), None if is_whole else len(query))


@pytest.fixture(scope="module")
def archive():
    return Archive(60)


def test_standings_of_volumes_like_the_archives_are_evenly_distributed(archive):
    random = np.random.default_rng(2)
    best = np.array([archive.standing(a_volume(random, number % 2))[0] for number in range(40)])
    assert 0.3 < best.mean() < 0.7
    assert 0.1 < np.mean(best < 0.3) < 0.5


@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(0, 1)])
def test_what_the_archive_does_not_hold_stands_below_all_of_it(archive, part):
    query = a_volume(np.random.default_rng(3), 2)[part]
    assert archive.standing(query, part == slice(None))[0] < 0.1
    held = a_volume(np.random.default_rng(3), 1)[part]
    assert archive.standing(held, part == slice(None))[0] > 0.15


def test_results_of_another_anatomy_stand_lower_than_the_best(archive):
    standing = archive.standing(a_volume(np.random.default_rng(4), 0))
    assert np.all(np.diff(standing) <= 0)
    assert standing[0] > 0.1 and standing[-1] == 0


def test_an_only_close_volume_counts_as_much_as_several(archive):
    """A follow-up scan of the same patient, the only one of its anatomy."""
    query = a_volume(np.random.default_rng(5), 2)
    alone = Archive(60)
    alone.volumes[7] = query
    assert alone.standing(query)[0] > 0.9


def test_neighbors_are_those_of_other_owners():
    twins = Archive(40)
    twins.volumes[1::2] = twins.volumes[::2]
    unknown = twins.levels
    known = neighbor_levels(twins.keys, [number // 2 for number in range(40)], twins.read)
    np.testing.assert_allclose(unknown.whole[:, 0], 1, atol=1e-5)
    assert known.whole[:, 0].max() < 0.99


def test_a_small_archive_says_nothing():
    assert Archive(AT_LEAST - 1).levels is None
    assert Archive(AT_LEAST).levels is not None
    assert Archive(AT_LEAST + 10, owners=1).levels is None


def test_of_a_large_archive_the_same_sample_is_taken_each_time():
    archive = Archive(300)
    first, second = archive.levels, Archive(300).levels
    assert len(first.whole) == 128 and first.n_volumes == 300
    np.testing.assert_array_equal(first.nearest, second.nearest)
