"""The evaluation of "is there anything like it here?", on made-up rows of six anatomies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation.dataset import Case
from evaluation.unusualness import auroc, evaluate_unusualness, share_called

#: Rows of a volume, and values of each.
ROWS, LENGTH = 3, 24


class MadeUp:
    """A database of volumes of four patients in each of six anatomies: similar within, not between."""

    def __init__(self):
        random = np.random.default_rng(0)
        self.cases, self._rows = {}, {}
        for key in range(24):
            patient = f"patient {key}"
            self.cases[key] = Case(f"case-{key}", Path(f"{key}.nii.gz"), "CT", f"PART{key % 6}", "", patient)
            rows = random.normal(scale=0.15, size=(ROWS, LENGTH)).astype(np.float32)
            rows[np.arange(ROWS), ROWS * (key % 6) + np.arange(ROWS)] += 1
            self._rows[key] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self.archive = self

    def pooled(self, keys):
        return np.concatenate([self._rows[int(key)] for key in keys]), np.arange(len(keys) + 1) * ROWS

    def query(self, case):
        key = next(key for key, one in self.cases.items() if one.id == case.id)
        return SimpleNamespace(embeddings=self._rows[key], table=SimpleNamespace(position=np.arange(ROWS) * 100.0))


@pytest.mark.parametrize("slices", [None, 1])
def test_a_body_part_that_was_taken_out_is_noticed(slices):
    database = MadeUp()
    evaluated = SimpleNamespace(database_for=lambda case: database)
    scores = evaluate_unusualness(evaluated, list(database.cases.values()), slices)
    assert len(scores) == 24
    assert auroc(scores) > 0.95
    assert share_called(scores, "nothing like it", is_present=False) > 0.8
    assert share_called(scores, "close match", is_present=True) > 0.5
