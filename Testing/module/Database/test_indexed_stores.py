"""The stores of an index folder: which one the settings mean, and folders that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder
from VolumeRetrievalLib.Database import IndexedStores
from VolumeRetrievalLib.Database.IndexContents import IndexContents
from VolumeRetrievalLib.Settings import Settings


@pytest.fixture
def unreadable(tmp_path) -> Path:
    """Refused by every system, also to an administrator: no file system takes such a name."""
    return tmp_path / ("x" * 300)


def test_a_folder_that_cannot_be_read_has_no_stores_and_the_summary_says_why(unreadable):
    assert IndexedStores.stores(unreadable) == []
    assert IndexedStores.chosen(unreadable, Settings(encoder="descriptor")) == "descriptor"
    assert "cannot be read" in IndexContents(unreadable).summary().problem


def test_a_store_that_was_removed_just_now_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(StoreFolder, "recipes", lambda self: [(None, tmp_path / "descriptor-12345678")])
    assert IndexedStores.stores(tmp_path) == []


def test_of_two_editions_of_an_encoder_the_one_in_use_or_the_newest_is_meant(tmp_path):
    first = Recipe("radiology-resnet", weights="ab" * 32)
    later, thin = replace(first, weights="cd" * 32, size=96), replace(first, slice_step_mm=6.0)
    folder = StoreFolder(tmp_path)
    for recipe in (first, later, thin):
        VolumeStore.create(folder.path_for(recipe), recipe, {"name": "radiology-resnet", "weights": ""}).close()
    every3, every6 = (Settings(encoder="radiology-resnet", sliceStepMm=step) for step in (3.0, 6.0))
    assert IndexedStores.chosen(tmp_path, every3) == later.folder_name
    folder.mark_used(folder.path_for(thin))  # with other settings
    assert IndexedStores.chosen(tmp_path, every3) == later.folder_name
    assert IndexedStores.chosen(tmp_path, every6) == thin.folder_name
    folder.mark_used(folder.path_for(first))
    assert IndexedStores.chosen(tmp_path, every3) == first.folder_name
    # What can be chosen are settings: no setting tells the editions apart.
    choices = IndexedStores.choices(IndexedStores.stores(tmp_path))
    assert sorted((one.title, one.sliceStepMm) for one in choices) == [("step 3 mm", 3.0), ("step 6 mm", 6.0)]
