"""The folder of a user's stores: which there are, and which a search uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.errors import StoreError, StoreReadOnlyError
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import LAST_USED_FILE, StoreFolder
from VolumeRetrievalEngine.store.schema import STORE_FILE

FINE = dataclasses.replace(RECIPE, slice_step_mm=1.0)
NETWORK = Recipe("resnet50", weights="ab" * 32)


@pytest.fixture
def stores(tmp_path: Path) -> StoreFolder:
    """Stores of two encoders, of one of them with two recipes."""
    folder = StoreFolder(tmp_path / "my stores")
    for recipe in (RECIPE, FINE, NETWORK):
        VolumeStore.create(folder.path_for(recipe), recipe).close()
    return folder


def test_every_recipe_has_its_folder(stores: StoreFolder) -> None:
    assert dict(stores.recipes()) == {recipe: stores.path_for(recipe) for recipe in (RECIPE, FINE, NETWORK)}
    assert stores.path_for(NETWORK).name == NETWORK.folder_name
    assert stores.problems() == []


def test_the_store_used_last_is_used_again(stores: StoreFolder) -> None:
    assert stores.last_used() is None
    for recipe in (NETWORK, FINE, NETWORK):
        stores.mark_used(stores.path_for(recipe))
        assert stores.last_used() == stores.path_for(recipe)
        assert stores.choose() == stores.path_for(recipe)
    assert [path.name for path in stores.parent.iterdir() if path.name.startswith(LAST_USED_FILE)] == [LAST_USED_FILE]


def test_a_store_is_chosen_by_encoder(stores: StoreFolder) -> None:
    stores.mark_used(stores.path_for(NETWORK))
    assert stores.choose("resnet50") == stores.path_for(NETWORK)
    assert stores.choose(FINE.folder_name) == stores.path_for(FINE)
    with pytest.raises(StoreError, match="several stores") as raised:
        stores.choose("descriptor")
    assert FINE.folder_name in str(raised.value)
    with pytest.raises(StoreError, match=r"'vgg'.*resnet50"):
        stores.choose("vgg")
    stores.mark_used(stores.path_for(FINE))
    assert stores.choose("descriptor") == stores.path_for(FINE)


def test_of_stores_that_differ_in_the_preprocessing_alone_the_newest_is_chosen(stores: StoreFolder) -> None:
    earlier = dataclasses.replace(NETWORK, preprocessing_version=1)
    assert stores.made_before(earlier) is None
    VolumeStore.create(stores.path_for(earlier), earlier).close()
    assert stores.choose("resnet50") == stores.path_for(NETWORK)
    assert stores.made_before(NETWORK) == NETWORK
    assert stores.made_before(dataclasses.replace(NETWORK, preprocessing_version=99)) == NETWORK
    assert stores.made_before(earlier) == earlier
    stores.mark_used(stores.path_for(earlier))
    assert stores.choose("resnet50") == stores.path_for(earlier)


def test_of_stores_that_differ_in_the_edition_of_the_encoder_the_newest_is_chosen(stores: StoreFolder) -> None:
    later = dataclasses.replace(NETWORK, weights="cd" * 32, size=96, normalisation='{"bgr":false}')
    earlier = dataclasses.replace(NETWORK, preprocessing_version=1)
    assert stores.made_before(later, [NETWORK.weights]) == NETWORK
    assert stores.made_before(later) is None
    assert stores.made_before(dataclasses.replace(later, slice_step_mm=1), [NETWORK.weights]) is None
    for recipe in (earlier, later):
        VolumeStore.create(stores.path_for(recipe), recipe).close()
    assert stores.made_before(later, [NETWORK.weights]) == later
    assert stores.choose("resnet50") == stores.path_for(later)
    assert stores.choose("resnet50", rather_than=[stores.path_for(later)]) == stores.path_for(NETWORK)
    assert stores.choose(later.folder_name, rather_than=[stores.path_for(later)]) == stores.path_for(later)
    stores.mark_used(stores.path_for(NETWORK))
    assert stores.choose("resnet50") == stores.path_for(NETWORK)
    assert stores.in_use() == stores.path_for(NETWORK)
    assert stores.in_use(later.folder_name) == stores.path_for(later)
    assert stores.in_use("resnet50") is None


def test_of_files_that_a_user_brought_none_is_newer(stores: StoreFolder) -> None:
    for weights in ("12" * 32, "34" * 32):
        recipe = Recipe("torchscript-own", weights=weights)
        VolumeStore.create(stores.path_for(recipe), recipe, {"name": "torchscript", "weights": "/own.pt"}).close()
    with pytest.raises(StoreError, match="several stores"):
        stores.choose("torchscript")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"folder": 5}', b"\xff\xfe", b'{"folder": "../../etc"}', b"null"]
)
def test_a_damaged_note_of_the_last_used_store_is_ignored(stores: StoreFolder, content: bytes) -> None:
    (stores.parent / LAST_USED_FILE).write_bytes(content)
    assert stores.last_used() is None
    assert stores.choose("resnet50") == stores.path_for(NETWORK)


def test_a_store_used_last_that_is_gone_is_not_chosen(stores: StoreFolder) -> None:
    stores.mark_used(stores.path_for(NETWORK))
    (stores.path_for(NETWORK) / STORE_FILE).unlink()
    assert stores.last_used() is None


def test_no_store_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    for folder in (StoreFolder(tmp_path), StoreFolder(tmp_path / "not there")):
        assert folder.recipes() == []
        with pytest.raises(StoreError) as raised:
            folder.choose()
        assert f"no store at {folder.parent}" in str(raised.value)
        assert f"python -m VolumeRetrievalEngine index --store {folder.parent} FOLDER" in str(raised.value)
        assert not (tmp_path / "not there").exists()


def test_a_damaged_store_is_reported_and_the_others_go_on(stores: StoreFolder) -> None:
    (stores.path_for(FINE) / STORE_FILE).write_bytes(b"no database" * 999)
    (stores.parent / "something else").mkdir()
    (stores.parent / "notes.txt").write_text("mine")
    assert {recipe for recipe, _ in stores.recipes()} == {RECIPE, NETWORK}
    [(path, reason)] = stores.problems()
    assert path == stores.path_for(FINE)
    assert "damaged" in reason
    assert stores.choose("descriptor") == stores.path_for(RECIPE)


def test_verifying_names_the_store_of_each_problem(stores: StoreFolder) -> None:
    assert stores.verify() == []
    assert StoreFolder(stores.parent / "not there").verify() == []
    (stores.path_for(FINE) / STORE_FILE).write_bytes(b"no database" * 999)
    with VolumeStore.open(stores.path_for(NETWORK), writable=True) as store:
        store.add(new_volume(1))
        store._connection.execute("UPDATE embeddings SET checksum = 0")
    by_store = {FINE: 0, NETWORK: 0, RECIPE: 0}
    for problem in stores.verify():
        by_store[next(recipe for recipe in by_store if str(stores.path_for(recipe)) in problem)] += 1
    assert by_store == {FINE: 1, NETWORK: 1, RECIPE: 0}
    assert len(stores.verify("resnet50")) == 2  # what cannot be opened is always said


def test_where_all_stores_are_damaged_the_reason_is_given(tmp_path: Path) -> None:
    folder = StoreFolder(tmp_path)
    VolumeStore.create(folder.path_for(RECIPE), RECIPE).close()
    (folder.path_for(RECIPE) / STORE_FILE).write_bytes(b"no database" * 999)
    with pytest.raises(StoreError, match="is damaged"):
        folder.choose()


def test_a_store_that_is_being_written_is_listed(stores: StoreFolder) -> None:
    with VolumeStore.open(stores.path_for(RECIPE), writable=True) as store:
        store.add(new_volume(1))
        assert len(stores.recipes()) == 3


def test_all_recipes_share_the_secret_and_the_scan_cache(stores: StoreFolder) -> None:
    assert stores.tokens.token("issuer", "1") == StoreFolder(stores.parent).tokens.token("issuer", "1")
    assert stores.scan_cache_path.parent == stores.parent


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreReadOnlyError, match="choose another"):
        StoreFolder(tmp_path / "file" / "stores").make()
    StoreFolder(tmp_path / "file" / "stores").mark_used(Path("x"))  # no reason to fail
    StoreFolder(tmp_path / "new" / "stores").make()
    assert (tmp_path / "new" / "stores").is_dir()
