"""Several indexes named on one command line, or opened by one call, as users meet them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from engine.archives import a_scan, write_scan
from engine.commands import run
from VolumeRetrievalEngine.errors import StoreError, UnknownVolumeError
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.united.united_retriever import open_stores


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """<folder>/a and b: archives of two phantoms each with the indexes store-a, store-b and, of both, store-ab."""
    folder = tmp_path_factory.mktemp("united")
    for archive, seeds in (("a", (0, 1)), ("b", (2, 3))):
        for seed in seeds:
            write_scan(folder / archive / f"head-{seed}.nii.gz", a_scan(seed, "head"))
    for archive in ("a", "b"):
        run("index", folder / archive, "--store", folder / f"store-{archive}", "--encoder", "descriptor")
    run("index", folder / "a", folder / "b", "--store", folder / "store-ab", "--encoder", "descriptor")
    return folder


def test_files_ids_pictures_and_reports_are_found_in_their_own_store(base, tmp_path):
    stores = [base / "store-a", base / "store-b"]
    query = base / "b" / "head-2.nii.gz"
    with open_stores(stores) as several, Retriever.open(base / "store-ab") as one:
        found, expected = several.search(query), one.search(query)
        assert [match.path for match in found.matches] == [match.path for match in expected.matches]
        assert [match.score for match in found.matches] == pytest.approx([match.score for match in expected.matches])
        assert found.n_volumes == 3
        by_id = several.search(several.resolve_query(query), options=SearchOptions(top=1))
        assert by_id.query_path == str(query)
        assert several.resolve_query(by_id.query_id[:12]) == by_id.query_id
        assert all(several.thumbnail(match.key, 0) for match in found.matches)
        assert several.volume_of(found, found.matches[0]).files.label == Path(found.matches[0].path).name
        page = several.write_report(found, tmp_path / "report.html").read_text()
        assert "head-0.nii.gz" in page
        with pytest.raises(UnknownVolumeError, match="no indexed volume has this id"):
            several.resolve_query("ffffffff")


def test_a_store_that_cannot_be_opened_is_named_and_the_others_answer(base, tmp_path):
    other = shutil.copytree(base / "store-b", tmp_path / "other")
    run("index", base / "b", "--store", other, "--encoder", "descriptor", "--slice-step", "0")
    with open_stores([tmp_path / "gone", base / "store-a", other]) as several:
        notes = several.search(base / "b" / "head-3.nii.gz").notes
    assert any(str(tmp_path / "gone") in note and "is not searched: no store" in note for note in notes)
    assert any(str(other) in note and "other settings" in note for note in notes)
    with pytest.raises(StoreError, match="no store can be searched"):
        open_stores([tmp_path / "gone", tmp_path / "lost"])


def test_search_takes_several_stores(base):
    arguments = ["search", base / "b" / "head-3.nii.gz", "--store", base / "store-a", "--store", base / "store-b"]
    done = run(*arguments, "--encoder", "descriptor", "--json")
    assert done.code == 0
    assert {Path(one["path"]).name for one in json.loads(done.out)} == {
        "head-0.nii.gz",
        "head-1.nii.gz",
        "head-2.nii.gz",
    }
    lost = run(*arguments, "--store", base / "nowhere", "--encoder", "descriptor")
    assert f"{base / 'nowhere'} is not searched" in lost.out + lost.err
