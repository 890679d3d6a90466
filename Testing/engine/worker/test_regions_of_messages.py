"""Regions as they come through the pipe."""

from __future__ import annotations

import json

import numpy as np
import pytest
from VolumeRetrievalEngine.errors import QueryError
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.query.region import BoxRAS, SingleSlice, SliceRange
from VolumeRetrievalEngine.worker.requests import region_from

BOX = OrientedBox((1, 2, 3), np.eye(3)[[1, 2, 0]], (4, 5, 6))


@pytest.mark.parametrize(
    ("values", "region"),
    [
        (None, None),
        ({"slices": [4, 7]}, SliceRange(4, 7)),
        ({"slices": [4, 7], "plane": "axial"}, SliceRange(4, 7, "axial")),
        ({"slice": 4, "plane": "coronal"}, SingleSlice(4, "coronal")),
        ({"box": [[0, 0, 0], [1, 2, 3]]}, BoxRAS((0, 0, 0), (1, 2, 3))),
        ({"box": BOX.to_dict()}, BOX),
    ],
)
def test_numbers_become_regions(values, region):
    assert region_from(json.loads(json.dumps(values))) == region


@pytest.mark.parametrize(
    "values",
    [
        {"slices": [4]},
        {"slices": [-1, 4]},
        {"box": {"center": [0, 0, 0]}},
        {"box": {**BOX.to_dict(), "axes": [[1, 0, 0]] * 3}},
        {"box": 7},
        {"ball": 3},
    ],
)
def test_anything_else_is_refused(values):
    with pytest.raises(QueryError):
        region_from(values)


def test_a_mask_carries_the_name_of_its_segment(tmp_path):
    np.save(tmp_path / "mask.npy", np.zeros((2, 2, 2), bool))
    mask = {"file": str(tmp_path / "mask.npy"), "affine": np.eye(4).tolist()}
    assert str(region_from({"mask": {**mask, "name": "liver"}})) == "mask liver"
    assert str(region_from({"mask": mask})) == "mask"
