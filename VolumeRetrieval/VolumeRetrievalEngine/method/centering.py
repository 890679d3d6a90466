"""Similarity after the archive's mean embedding is subtracted from both sides.

Embeddings of one encoder share a direction: of networks trained on photographs, whatever makes a gray slice a gray
slice. It makes everything similar to everything. Subtracting the mean, and giving the rows unit length again, leaves
what distinguishes them (Mu and Viswanath, All-but-the-top: simple and effective postprocessing for word
representations, arXiv 1702.01417, algorithm 1, step 1; for image retrieval Jegou and Chum, Negative evidences and
co-occurrences in image retrieval, ECCV 2012, section 3.1). One mean for the whole archive: a mean for each modality
would subtract what distinguishes volumes within it.

Stores and indexes keep the rows as they were embedded, so that a mean that moves costs nothing and the paper's score
stays possible. With unit rows c, and q' = (q - m) / |q - m|:

    (c - m) q' / |c - m|  =  (c q' - m q') / sqrt(1 - 2 c m + |m|^2)

The mean goes into the matrix product as one more row of the query, and all else is done in the cache.
"""

from __future__ import annotations

import numpy as np

#: Rows nearer to the mean than this are taken to be this far from it: what is left of them is rounding.
_LEAST_DISTANCE = 1e-3


def mean_of_volumes(rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The mean of the volumes' mean rows, float32 [d]: every volume counts the same.

    Args:
        rows: float32 [N, d], slices or pooled rows of one volume after another.
        offsets: int [V + 1], where each begins.
    """
    means = np.add.reduceat(rows, offsets[:-1], axis=0, dtype=np.float64) / np.diff(offsets)[:, None]
    return means.mean(axis=0).astype(np.float32)


def centered(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Unit rows float32 [n, d] less the mean [d], as unit rows."""
    rest = np.asarray(rows, np.float32) - mean
    return rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), _LEAST_DISTANCE)


class CenteredProduct:
    """The product of a query with rows that are not centered, made the similarity of the centered ones.

    Attributes:
        rows: float32 [n_q + 1, d], what the rows of the archive are multiplied with.
    """

    def __init__(self, query: np.ndarray, mean: np.ndarray):
        moved = centered(query, mean)
        self.rows = np.ascontiguousarray(np.vstack((moved, mean)), np.float32)
        self._of_mean = (moved @ mean)[:, None]
        self._mean_squared = np.float32(mean @ mean)

    def similarity(self, product: np.ndarray) -> np.ndarray:
        """S of the centered rows, float32 [n_q, n], from `rows` times the archive's, [n_q + 1, n]; done in place."""
        product, of_mean = product[:-1], product[-1]
        distance = np.sqrt(np.maximum(1 + self._mean_squared - 2 * of_mean, _LEAST_DISTANCE**2))
        product -= self._of_mean
        product /= distance
        return product
