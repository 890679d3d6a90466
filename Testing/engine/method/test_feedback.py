"""Ranking again with marked volumes."""

from __future__ import annotations

import numpy as np
from VolumeRetrievalEngine.method.feedback import with_marks

NONE = np.zeros((0, 3), np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)


def test_without_marks_the_order_is_that_of_the_scores():
    np.testing.assert_array_equal(with_marks(SCORES, NONE, NONE), SCORES)


def test_what_is_like_a_fitting_volume_comes_up_and_like_an_unfitting_one_goes_down():
    fitting = np.array([[0.1, 0.2, 1.0], [0.3, 0.1, 0.2]], np.float32)
    unfitting = np.array([[1.0, 0.0, 0.2]], np.float32)
    np.testing.assert_allclose(with_marks(SCORES, fitting, NONE), [1.2, 1.0, 1.7], rtol=1e-6)
    np.testing.assert_allclose(with_marks(SCORES, fitting, unfitting), [0.7, 1.0, 1.6], rtol=1e-6)
    np.testing.assert_allclose(SCORES, [0.9, 0.8, 0.7])
