"""Another edition of the bundled weights ships: indexes of the first one are searched, updated and mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import write_archive
from engine.bundled_editions import FIRST, FIRST_FOLDER, bundle, only_onnxruntime, write_edition
from engine.commands import run
from engine.encoders.test_encoders import smooth_slices
from VolumeRetrievalEngine import mapped_index
from VolumeRetrievalEngine.cluster.order import Order, carry_out, refusal
from VolumeRetrievalEngine.encoders.base import Encoder
from VolumeRetrievalEngine.encoders.choice import create_encoder, is_earlier_edition, weights_editions
from VolumeRetrievalEngine.encoders.radiology_resnet import editions
from VolumeRetrievalEngine.encoders.radiology_resnet.description import read_description
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.errors import WeightsError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.united.store_state import states
from VolumeRetrievalEngine.worker.retriever_pool import RetrieverPool

pytest.importorskip("onnxruntime")

NAME = "radiology-resnet"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """<folder>/archive of nine phantoms, its index by the first edition in store, and a later edition in later."""
    folder = tmp_path_factory.mktemp("editions")
    write_edition(folder / "later")
    write_archive(folder / "archive")
    with pytest.MonkeyPatch.context() as monkeypatch:
        bundle(monkeypatch, FIRST_FOLDER)
        assert run("index", folder / "archive", "--store", folder / "store", "--encoder", NAME).code == 0
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "store", tmp_path / "store"))


@pytest.fixture
def later(made: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The update: another edition is bundled. The sha256 of its weights."""
    bundle(monkeypatch, made / "later")
    return read_description().weights


@pytest.fixture(params=["MONAI", "onnxruntime"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The library that runs the encoder."""
    if request.param == "onnxruntime":
        only_onnxruntime(monkeypatch)
    return str(request.param)


def first_edition() -> Encoder:
    return create_encoder(NAME, edition=FIRST)


def found(retriever: Retriever, query: Path) -> dict[str, float]:
    """Every volume's exact score for a query that is read and embedded."""
    result = retriever.search(
        retriever.read_again(retriever.find(str(query))), options=SearchOptions(top=50, ranking="exhaustive")
    )
    return {Path(match.path).name: match.score for match in result.matches}


# The files


def test_the_first_edition_ships_as_it_was_and_no_edition_takes_more_than_12_megabytes():
    first, current = read_description(FIRST_FOLDER / f"{NAME}.json"), read_description()
    assert first.weights == FIRST
    for described in (first, current):
        for file in (described.tensors_path, described.onnx_path):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == described.hashes[file.name]
        assert sum(file.stat().st_size for file in (described.tensors_path, described.onnx_path)) <= 12e6


def test_an_edition_is_known_by_its_weights(made, later):
    assert weights_editions(NAME) == (FIRST, later)
    assert weights_editions("descriptor") == weights_editions("no such encoder") == ()
    assert is_earlier_edition(NAME, FIRST)
    assert not any(is_earlier_edition(NAME, weights) for weights in (later, "ab" * 32, ""))


def test_weights_that_shipped_once_only_are_one_edition(monkeypatch):
    bundle(monkeypatch, FIRST_FOLDER)
    assert weights_editions(NAME) == (FIRST,)
    assert not is_earlier_edition(NAME, FIRST)


def test_an_encoder_is_made_of_the_edition_that_is_asked_for_by_each_library(library, later):
    slices = smooth_slices(5, size=128)
    first, current = first_edition(), create_encoder(NAME)
    assert (first.backend, current.backend) == (library, library)
    assert (first.weights, first.input_size, first.dimension) == (FIRST, 128, 256)
    assert (current.weights, current.input_size, current.dimension) == (later, 96, 24)
    assert create_encoder(NAME, edition="ab" * 32).weights == later
    given = create_encoder(NAME, weights=FIRST_FOLDER / f"{NAME}.safetensors") if library == "MONAI" else first
    assert np.array_equal(first.embed(slices), given.embed(slices))


def test_a_damaged_earlier_edition_stops_nobody_else(later, tmp_path, monkeypatch):
    monkeypatch.setattr(editions, "EARLIER", (tmp_path / "gone",))
    assert create_encoder(NAME).weights == create_encoder(NAME, edition=later).weights == later
    assert not is_earlier_edition(NAME, FIRST)
    with pytest.raises(WeightsError, match="cannot be read"):
        create_encoder(NAME, edition=FIRST)


# An index of the first edition


def test_an_index_of_the_first_edition_answers_as_before(library, made, store, monkeypatch):
    query = made / "archive" / "chest-1.nii.gz"
    bundle(monkeypatch, FIRST_FOLDER)
    with Retriever.open(store) as retriever:
        before, status = found(retriever, query), retriever.status()
    assert "edition" not in status.in_words()

    bundle(monkeypatch, made / "later")

    for name in ("", NAME, Path(status.folder).name):
        with Retriever.open(store, name) as retriever:
            assert found(retriever, query) == before
            assert retriever.encoder().weights == FIRST
    with RetrieverPool(store).get(NAME) as retriever:
        assert found(retriever, query) == before
    words = run("info", "--store", store).out
    assert f"edition: made with an earlier edition of {NAME} (index --renew" in words


@pytest.mark.parametrize("name", ["", NAME])
def test_an_index_of_the_first_edition_is_updated_with_it(name, made, store, later, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(made / "archive" / "head-0.nii.gz", new / "another.nii.gz")
    report = run("index", new, "--store", store, "--encoder", name, "--json").json
    assert report["added"] == 1
    assert report["store"]["volumes"] == 10
    assert json.loads(report["store"]["recipe"])["weights"] == FIRST
    with Retriever.open(store) as retriever:
        one, other = (retriever.find(str(file)) for file in (new / "another.nii.gz", made / "archive/head-0.nii.gz"))
        rows = [retriever._session().store.embeddings(record.key) for record in (one, other)]
    assert np.array_equal(*rows)


def test_workers_of_a_cluster_embed_with_the_edition_of_the_index(made, store, later):
    retriever = Retriever.create(store)
    order = Order.of(retriever.request, retriever.recipe)
    assert refusal(order) == ""
    assert "sha256" in refusal(Order.of(retriever.request, replace(retriever.recipe, weights="ab" * 32)))
    with retriever:
        record = retriever.listing()[0]
        known = retriever._session().store.embeddings(record.key)
        source = mapped_index._Stored.of(retriever._session().store, record, retriever.folder.tokens)
        assert (carry_out(order, source).embeddings * known).sum(axis=1).min() > 0.999  # in float16


# A new index


def test_a_new_index_is_made_with_the_current_edition(made, store, later, tmp_path):
    elsewhere = Retriever.create(tmp_path / "elsewhere", NAME).recipe
    assert (elsewhere.weights, elsewhere.size) == (later, 96)
    thinned = Retriever.create(store, slice_step_mm=12).recipe  # no index is there with these settings
    assert thinned == replace(elsewhere, slice_step_mm=12)


@pytest.mark.parametrize("name", ["", NAME])
def test_renewing_makes_an_index_of_the_current_edition_beside_the_old_one(name, made, store, later):
    old = Retriever.open(store).path
    new = Retriever.create(store, name, renew=True)
    assert (new.recipe.weights, new.request.name) == (later, NAME)
    assert Retriever.open(store).path == Retriever.create(store, NAME).path == new.path != old
    assert new.status().edition == ""
    # The old one goes on by the name of its folder, and where it was used last.
    assert Retriever.create(store, old.name).encoder().weights == FIRST
    assert Retriever.open(store, NAME).path == Retriever.create(store).path == old
    # Of two of which none is marked as used, the new one is meant.
    (store / "last-used.json").unlink()
    assert Retriever.open(store, NAME).path == new.path


def test_an_index_of_the_first_edition_is_mapped_to_the_current_one(made, store, later, monkeypatch):
    monkeypatch.setattr(mapped_index, "VOLUMES", 6)
    old = Retriever.open(store).path.name
    archive = made / "archive"

    done = run("index", archive, "--store", store, "--encoder", NAME, "--from", NAME)

    assert done.code == 0, done.err
    assert f"3 volumes mapped from {old}, by 6 embedded by both" in done.err
    assert "3 replaced" in done.out and "6 unchanged" in done.out
    with Retriever.open(store, NAME) as retriever:
        assert (retriever.recipe.weights, retriever.status().mapping) == (later, "")
        assert len(found(retriever, archive / "head-0.nii.gz")) == 8
    again = run("index", archive, "--store", store, "--from", old)
    assert "nothing was mapped" in again.err and "9 unchanged" in again.out


def test_indexes_of_two_editions_are_not_searched_as_one_archive(made, store, later, tmp_path):
    write_archive(tmp_path / "archive", range(1))
    run("index", tmp_path / "archive", "--store", tmp_path / "other", "--encoder", NAME)
    same, first = states([made / "store", store]), states([tmp_path / "other", store])
    assert [one.problem for one in same] == ["", ""]
    assert f"made with {NAME} like the first one, but with other weights or settings" in first[1].problem
    # A folder with both answers with the one that fits.
    run("index", tmp_path / "archive", "--store", store, "--renew")
    assert [one.volumes for one in states([tmp_path / "other", store])] == [3, 3]
    assert [one.volumes for one in states([made / "store", store])] == [9, 9]


def test_weights_given_by_the_user_are_no_edition(made, store, later, tmp_path):
    pytest.importorskip("monai")
    write_edition(tmp_path / "own", seed=1)
    request = EncoderRequest(NAME, tmp_path / "own" / f"{NAME}.safetensors")
    own = Retriever.create(store, request)
    assert own.recipe.weights not in weights_editions(NAME)
    assert own.listing() == [] and own.status().edition == ""
    assert Retriever.create(store).path == own.path
