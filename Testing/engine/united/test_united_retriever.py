"""Several indexes named on one command line, or opened by one call, as users meet them."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_scan
from engine.commands import run
from VolumeRetrievalEngine.errors import StoreError, UnknownVolumeError
from VolumeRetrievalEngine.phantoms import write_archive
from VolumeRetrievalEngine.reading import MetadataTable
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.united.answering import AnsweringFolders
from VolumeRetrievalEngine.united.store_state import states
from VolumeRetrievalEngine.united.united_retriever import UnitedRetriever, open_stores
from VolumeRetrievalEngine.volume import Volume

DESCRIPTOR = ("--encoder", "descriptor")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """<folder>/a and b: archives of two phantoms each with the indexes store-a, store-b and, of both, store-ab."""
    folder = tmp_path_factory.mktemp("united")
    for archive, seeds in (("a", (0, 1)), ("b", (2, 3))):
        for seed in seeds:
            write_scan(folder / archive / f"head-{seed}.nii.gz", a_scan(seed, "head"))
    table = folder / "patients.csv"
    table.write_text("path,patient\na/head-0.nii.gz,one\nb/head-2.nii.gz,one\na/head-1.nii.gz,two\n")
    for archive in ("a", "b"):
        store = folder / f"store-{archive}"
        run("index", folder / archive, "--store", store, "--encoder", "descriptor", "--metadata", table)
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


def test_the_querys_patient_of_a_table_is_known_in_every_store(base, tmp_path):
    query = write_scan(tmp_path / "new" / "head-9.nii.gz", a_scan(9, "head"))
    (tmp_path / "table.csv").write_text("path,patient\nnew/head-9.nii.gz,one\n")
    table = MetadataTable.from_csv(tmp_path / "table.csv")
    with open_stores([base / "store-a", base / "store-b"]) as several:
        asked = several.resolve_query(query, metadata=table)
        found = several.search(asked, options=SearchOptions(exclude=frozenset({"patient"})))
        several.search(base / "a" / "head-1.nii.gz")  # of another patient
        again = several.search_again(found.search_id, SearchOptions(exclude=frozenset({"patient"})))
    for result in (found, again):
        assert {Path(match.path).name for match in result.matches} == {"head-1.nii.gz", "head-3.nii.gz"}


def test_volumes_of_two_archives_that_have_the_same_id_are_not_taken_for_each_other(tmp_path):
    for site in ("a", "b"):  # ids are made from the root's name and the path below it
        for case in (0, 1):
            scan = a_scan(2 * case + (site == "b"), "head")
            write_scan(tmp_path / site / "images" / f"case{case}.nii.gz", scan)
        table = tmp_path / f"{site}.csv"
        table.write_text(f"path,patient\n{site}/images/case0.nii.gz,{site}\n{site}/images/case1.nii.gz,{site}\n")
        run(
            "index", tmp_path / site / "images", "--store", tmp_path / f"store-{site}", "--metadata", table, *DESCRIPTOR
        )
    stores = [tmp_path / "store-a", tmp_path / "store-b"]
    others = {"a": ["b0", "b1"], "b": ["a0", "a1"]}
    options = SearchOptions(exclude=frozenset({"patient"}))
    with open_stores(stores) as several, Retriever.open(stores[0]) as first:
        for query, site in ((tmp_path / "b/images/case0.nii.gz", "b"), (first.listing()[0].volume_id, "a")):
            found = several.search(query)
            assert max(match.score for match in found.matches) < 0.999  # the other one was not searched with
            assert len(found.matches) == 3
            strangers = several.search(query, options=options).matches
            names = [f"{Path(one.path).parts[-3]}{Path(one.path).name[4]}" for one in strangers]
            assert sorted(names) == others[site]


def test_volumes_are_named_as_in_one_store_and_nothing_but_searching_is_done(base):
    stores = [base / "store-a", base / "store-b"]
    with open_stores(stores) as several:
        path = base / "b" / "head-3.nii.gz"
        assert several.path_of(several.find(str(path))) == str(path)
        with pytest.raises(UnknownVolumeError, match="no such file or folder"):
            several.find(str(base / "gone.nii.gz"))
        volume_id = several.find(str(path)).volume_id
        for act in (lambda: several.add([base / "a"]), lambda: several.remove([volume_id]), several.status):
            with pytest.raises(StoreError, match="open the one that is meant alone"):
                act()
        assert several.find(volume_id)
    with open_stores([stores[0], base / "store-b" / ".." / "store-a"]) as one:
        assert one.status().volumes == 2


def test_a_store_that_cannot_be_opened_is_named_and_the_others_answer(base, tmp_path):
    other = shutil.copytree(base / "store-b", tmp_path / "other")
    shutil.rmtree(next(other.glob("descriptor-*")))
    run("index", base / "b", "--store", other, "--encoder", "descriptor", "--slice-step", "0")
    with open_stores([tmp_path / "gone", base / "store-a", other]) as several:
        notes = several.search(base / "b" / "head-3.nii.gz").notes
    assert any(str(tmp_path / "gone") in note and "is not searched: no store" in note for note in notes)
    assert any(str(other) in note and "other weights or settings" in note for note in notes)
    with pytest.raises(StoreError, match="no store can be searched"):
        open_stores([tmp_path / "gone", tmp_path / "lost"])


def test_a_store_that_is_gone_before_the_first_search_is_named_too(base, tmp_path):
    gone = shutil.copytree(base / "store-b", tmp_path / "gone")
    with open_stores([base / "store-a", gone]) as several:
        shutil.rmtree(gone)
        result = several.search(base / "a" / "head-0.nii.gz")
    assert len(result.matches) == 1
    assert any(str(gone) in note and "is not searched" in note for note in result.notes)


def test_a_store_that_comes_back_is_searched_again_and_the_matches_say_which_store_is_theirs(base, tmp_path):
    away = shutil.copytree(base / "store-b", tmp_path / "share" / "store")
    query = base / "a" / "head-0.nii.gz"
    with open_stores([base / "store-a", away]) as several:
        before = several.search(query)
        (tmp_path / "share").rename(tmp_path / "elsewhere")
        without = several.search(query)
        again = several.search_again(before.search_id, SearchOptions())
        (tmp_path / "elsewhere").rename(tmp_path / "share")
        after = several.search(query)
        assert several.similarity(before.search_id, before.matches[-1].key).shape[0] == len(before.query_table)
    assert {match.store for match in before.matches} == {str(base / "store-a"), str(away)}
    for lacking in (without, again):
        assert [one.problem_type for one in lacking.stores] == ["", "NoStoreError"]
        assert {match.store for match in lacking.matches} == {str(base / "store-a")}
    assert [match.key for match in after.matches] == [match.key for match in before.matches]
    assert [one.problem for one in after.stores] == ["", ""]
    assert SearchResult.from_dict(before.to_dict()) == before


def test_a_volume_that_is_in_several_stores_is_found_once_and_takes_no_room(tmp_path):
    series = write_archive(tmp_path / "archive", 4, fields_of_view=("head",), spacing_mm=(10.0, 12.0))
    for name, numbers in (("first", (0, 1, 2)), ("second", (0, 1, 2, 3)), ("all", (0, 1, 2, 3))):
        Retriever.create(tmp_path / name, "descriptor").add([series[number].folder for number in numbers])
    options, query = SearchOptions(top=2), series[0].folder
    with open_stores([tmp_path / "first", tmp_path / "second"]) as several, Retriever.open(tmp_path / "all") as one:
        found, expected = several.search(query, options=options), one.search(query, options=options)
        everything = several.search(query)
        again = several.search_again(found.search_id, options)
        assert several.similarity(found.search_id, found.matches[1].key).shape[1] == found.matches[1].n_rows
        several.refined(found.search_id, found.matches[1].key)
    for result in (found, again):
        assert [(match.rank, match.series_uid) for match in result.matches] == [
            (match.rank, match.series_uid) for match in expected.matches
        ]
    stores = {match.series_uid: Path(match.store).name for match in everything.matches}
    assert stores == {one.series_uid: "first" for one in series[1:3]} | {series[3].series_uid: "second"}


def test_copies_in_another_store_are_not_what_is_usual(tmp_path):
    series = write_archive(tmp_path / "archive", 18, fields_of_view=("head",), spacing_mm=(10.0, 12.0))
    for name, numbers in (("first", range(17)), ("second", range(18)), ("all", range(18))):
        Retriever.create(tmp_path / name, "descriptor").add([series[number].folder for number in numbers])
    with open_stores([tmp_path / "first", tmp_path / "second"]) as several, Retriever.open(tmp_path / "all") as one:
        united, alone = several._session().neighbor_levels(), one._session().neighbor_levels()
    assert united.n_volumes == alone.n_volumes == len(series)
    assert np.sort(united.whole, axis=0) == pytest.approx(np.sort(alone.whole, axis=0), abs=1e-5)


def test_a_folder_that_hangs_is_waited_for_once_and_the_others_answer(base, tmp_path):
    hanging, waiting = tmp_path / "hanging", threading.Event()
    asked = []

    def look(folder: Path) -> Path:
        asked.append(folder)
        if folder == hanging:
            waiting.wait()
        return folder.resolve()

    answering = AnsweringFolders(seconds=0.05, look=look)
    try:
        with UnitedRetriever.of([hanging, base / "store-a"], answering=answering) as several:
            result = several.search(base / "b" / "head-2.nii.gz")
            assert result.stores[0].problem_type == "NotAnsweringError"
            assert len(result.matches) == 2 and asked.count(hanging) == 1
            shutil.copytree(base / "store-b", hanging)
            waiting.set()
            while several.search(base / "b" / "head-2.nii.gz").stores[0].problem:
                pass  # its thread goes on when it can
            assert len(several.search(base / "b" / "head-2.nii.gz").matches) == 3
    finally:
        waiting.set()


def test_a_store_that_has_the_fitting_index_too_is_searched_by_it_and_keeps_its_own_last_used(base, tmp_path):
    other = shutil.copytree(base / "store-b", tmp_path / "other")
    run("index", base / "b", "--store", other, "--encoder", "descriptor", "--slice-step", "0")
    last = (other / "last-used.json").read_text()
    with open_stores([base / "store-a", other]) as several:
        assert len(several.search(base / "b" / "head-3.nii.gz").matches) == 3
    assert (other / "last-used.json").read_text() == last


def test_a_store_where_the_querys_patient_is_not_known_is_named(base, tmp_path):
    options = SearchOptions(exclude=frozenset({"patient"}))
    with open_stores([base / "store-a", base / "store-b"]) as several:
        known = several.search(base / "a" / "head-0.nii.gz", options=options)  # b's secret turns no table's name
        unknown = several.search(a_volume(7), options=options)
        named = several.search(a_volume(7), options=replace(options, exclude_series=frozenset({"1.2.3"})))
        harmless = several.search(a_volume(7))
    sentence = f"the patient of the query is not known in {base / 'store-b'}"
    assert [one.knows_patient for one in known.stores] == [True, False]
    assert any(sentence in note for note in known.notes)
    assert [one.knows_patient for one in unknown.stores] == [False, False]
    assert any("nothing was left out as of the same patient" in note for note in unknown.notes)
    assert [one.knows_patient for one in named.stores] == [True, False]
    assert any(sentence in note for note in named.notes)
    assert all(one.knows_patient for one in harmless.stores) and "patient" not in " ".join(harmless.notes)


def test_a_secret_that_cannot_be_read_is_no_secret_that_knows_nobody(base, tmp_path):
    locked = shutil.copytree(base / "store-b", tmp_path / "locked")
    (locked / "secret").write_bytes(b"damaged")
    with open_stores([base / "store-a", locked]) as several:
        options = SearchOptions(exclude=frozenset({"patient"}))
        result = several.search(several.resolve_query(base / "a" / "head-0.nii.gz"), options=options)
    assert [one.knows_patient for one in result.stores] == [True, False]


def test_the_state_of_each_folder_is_told(base, tmp_path):
    other = shutil.copytree(base / "store-b", tmp_path / "other")
    shutil.rmtree(next(other.glob("descriptor-*")))
    run("index", base / "b", "--store", other, "--encoder", "descriptor", "--slice-step", "0")
    around = tmp_path / "database"
    shutil.copytree(base / "store-b", around / "VolumeRetrieval")
    inner = next((base / "store-b").glob("descriptor-*"))
    folders = [base / "store-a", around, inner, other, tmp_path / "gone", base / "a"]
    before = sorted(path for path in base.rglob("*"))

    found = states(folders)

    assert [one.folder for one in found] == [
        str(one) for one in (base / "store-a", around / "VolumeRetrieval", base / "store-b", *folders[3:])
    ]
    assert [one.volumes for one in found] == [2, 2, 2, 0, 0, 0]
    assert [one.problem_type for one in found[3:]] == ["OtherRecipeError", "NoStoreError", "NoStoreError"]
    assert (found[3].problem_fields["encoders"], found[3].problem_fields["expected"]) == (["descriptor"], "descriptor")
    assert [one.problem_fields["exists"] for one in found[4:]] == [False, True]
    assert "expected the folder that was given to `index --store`" in found[5].problem
    assert sorted(path for path in base.rglob("*")) == before
    shutil.copytree(base / "store-a", around / "second")
    assert "holds several indexes: choose one of VolumeRetrieval, second" in states([around])[0].problem
    table = run("stores", base / "store-a", tmp_path / "gone")
    assert table.code == 0 and "can be searched" in table.out and "there is no such folder" in table.out


def a_volume(seed: int) -> Volume:
    """A volume of nobody that is known."""
    scanned = a_scan(seed, "head")
    return Volume.from_array(scanned.voxels, scanned.affine)


def test_search_takes_several_stores(base):
    arguments = ["search", base / "b" / "head-3.nii.gz", "--store", base / "store-a", "--store", base / "store-b"]
    done = run(*arguments, "--encoder", "descriptor", "--json")
    assert done.code == 0
    assert {Path(one["path"]).name for one in json.loads(done.out)} == {
        "head-0.nii.gz",
        "head-1.nii.gz",
        "head-2.nii.gz",
    }
    lost = run(*arguments, "--store", base / "nowhere", "--encoder", "descriptor", "--json")
    assert len(json.loads(lost.out)) == 3
    assert f"note: {base / 'nowhere'} is not searched" in lost.err
