"""An index for another encoder that is mapped from the one that is there, and embedded afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from engine.archives import write_archive
from engine.commands import run
from VolumeRetrievalEngine import mapped_index
from VolumeRetrievalEngine.errors import EncoderError, StoreError
from VolumeRetrievalEngine.mapped_index import map_index
from VolumeRetrievalEngine.method.space_map import fit
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.store.mapping import MAPPED

pytest.importorskip("onnxruntime", reason="needs a second encoder: pip install onnxruntime")

NEW = "radiology-resnet"


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_linear_relation_between_two_spaces_is_found_and_its_loss_measured_on_held_out_volumes():
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(6, 6)))[0]
    old = [unit(random.normal(size=(30, 6))) for _ in range(10)]
    exact = fit(old, [rows @ turn for rows in old])
    assert exact.cosine > 0.999
    held_out = unit(random.normal(size=(5, 6)))
    assert np.allclose(exact(held_out), held_out @ turn, atol=0.02)
    nothing_in_common = fit(old, [unit(random.normal(size=(30, 6))) for _ in old])
    assert abs(nothing_in_common.cosine) < 0.2
    with pytest.raises(ValueError, match="two or more"):
        fit(old[:1], old[:1])


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> Path:
    """<folder>/archive of nine phantoms and its index with the descriptor."""
    folder = tmp_path_factory.mktemp("mapped")
    write_archive(folder / "archive")
    assert run("index", folder / "archive", "--store", folder / "store", "--encoder", "descriptor").code == 0
    return folder


@pytest.fixture
def store(indexed, tmp_path) -> Path:
    return Path(shutil.copytree(indexed / "store", tmp_path / "store"))


def test_a_mapped_index_is_searched_at_once_and_embedded_by_the_next_run(indexed, store):
    with Retriever.create(store, NEW) as retriever:
        report = map_index(retriever, "descriptor", volumes=6)
        assert (report.mapped, report.embedded) == (3, 6)
        assert 0 < report.cosine < 1
        marked = {one.label: one.precision == MAPPED for one in retriever.listing()}
        assert (len(marked), sum(marked.values())) == (9, 3)
        label = next(one for one, is_mapped in marked.items() if is_mapped)
        words = f"3 volumes are mapped from {report.source}"
        assert words in retriever.status().in_words()
        query = indexed / "archive" / label
        result = retriever.search(retriever.find(str(query)).volume_id, options=SearchOptions(top=2))
        assert Path(result.matches[0].path).name.partition("-")[0] == label.partition("-")[0]  # the same body part
        assert any(words in note for note in result.notes)
        assert all(retriever.thumbnail(one.key, 0) for one in retriever.listing())

    moved = query.rename(indexed / "archive" / "moved.nii.gz")  # known again elsewhere, it is embedded all the same
    try:
        again = json.loads(run("index", indexed / "archive", "--store", store, "--encoder", NEW, "--json").out)
        assert (again["replaced"], again["moved"], again["unchanged"]) == (3, 0, 6)
        with Retriever.open(store, NEW) as retriever:
            assert retriever.status().mapping == ""
            assert not any("mapped" in note for note in retriever.search(str(moved)).notes)
    finally:
        moved.rename(query)


def test_index_from_maps_and_goes_on_to_embed(indexed, store, monkeypatch):
    monkeypatch.setattr(mapped_index, "VOLUMES", 6)
    done = run("index", indexed / "archive", "--store", store, "--encoder", NEW, "--from", "descriptor")
    assert done.code == 0
    assert "3 volumes mapped from descriptor-" in done.err
    assert "3 replaced" in done.out
    # A second time there is nothing to map.
    again = run("index", indexed / "archive", "--store", store, "--encoder", NEW, "--from", "descriptor")
    assert "nothing was mapped" in again.err
    assert "9 unchanged" in again.out


def test_stopping_keeps_what_is_done_and_the_next_mapping_goes_on(indexed, store):
    def stop(step: Progress) -> None:
        if step.stage == "embed" and step.done == 2:
            raise Cancelled

    with Retriever.create(store, NEW) as retriever:
        assert map_index(retriever, "descriptor", stop, volumes=4).cancelled
        assert 0 < len(retriever.listing()) < 4
        report = map_index(retriever, "descriptor", volumes=4)
        assert (report.embedded, report.mapped + report.embedded) == (4, 9)


def test_of_many_that_both_hold_no_more_are_fitted_than_asked_for(indexed, store):
    with Retriever.create(store, NEW) as retriever:
        retriever.add([indexed / "archive"], exclude=["*/chest-*"])
        known = len(retriever.listing())
        report = map_index(retriever, "descriptor", volumes=2)
        assert known > report.embedded == 2
        assert report.mapped == 9 - known > 2


def test_what_cannot_be_mapped_is_refused_with_the_reason(indexed, store):
    with Retriever.create(store, NEW) as retriever:
        with pytest.raises(StoreError, match="nothing was indexed with the encoder 'dinov2-s'"):
            map_index(retriever, "dinov2-s", volumes=4)
        with pytest.raises(StoreError, match="the index of this encoder already"):
            map_index(retriever, NEW, volumes=4)
        assert "9 volumes are embedded in the time" in map_index(retriever, "descriptor", volumes=9).reason
    for file in (indexed / "archive").iterdir():
        shutil.move(file, indexed / file.name)
    try:
        with Retriever.create(store, NEW) as retriever, pytest.raises(EncoderError, match="0 volumes could be read"):
            map_index(retriever, "descriptor", volumes=4)
    finally:
        for file in indexed.glob("*.nii.gz"):
            shutil.move(file, indexed / "archive" / file.name)
