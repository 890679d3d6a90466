"""Index folders that cannot be read: the panel still opens, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
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
