"""Other index folders searched together with the database's, with the real engine in real children."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from children import cleanUp, realCommand, waitUntil
from phantom_database import PhantomReader, makeIndexedDatabase, nodeOf, openDatabase, writePhantoms
from VolumeRetrievalEngine.phantoms import make_query
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib.Database import IndexFolderTexts
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic
from VolumeRetrievalLib.Settings import Settings
from VolumeRetrievalLib.Values import IndexedVolume, IndexFolder, SearchCriteria


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """The chests of four patients."""
    return writePhantoms(tmp_path_factory.mktemp("phantoms"), 4, ("chest",))


@pytest.fixture(scope="module")
def databaseFolder(tmp_path_factory, phantoms):
    """A database that holds the first two, indexed."""
    return makeIndexedDatabase(tmp_path_factory.mktemp("database"), phantoms[:2])


@pytest.fixture
def share(tmp_path, phantoms):
    """A folder <share>/archive with the other two, and their index <share>/index."""
    for one in phantoms[2:]:
        shutil.copytree(one.folder, tmp_path / "share" / "archive" / one.folder.parent.name / one.folder.name)
    Retriever.create(tmp_path / "share" / "index", "descriptor").add([tmp_path / "share" / "archive"])
    return tmp_path / "share"


@pytest.fixture
def makeLogic():
    Settings(encoder="descriptor").save()
    made = []

    def make():
        made.append(RetrievalLogic(makeCommand=realCommand, reader=PhantomReader(), quietMilliseconds=50))
        waitUntil(lambda: made[-1]._index.watcher.present is not None)
        return made[-1]

    yield make
    cleanUp(made)


@pytest.fixture
def logic(makeLogic, databaseFolder):
    """Searches the indexed database. Do not change it."""
    openDatabase(databaseFolder)
    return makeLogic()


def elsewhere(result, folder):
    return [match for match in result.matches if match.store == str(folder)]


def test_what_is_found_in_another_index_is_pictured_loaded_compared_and_searched_with(logic, phantoms, share):
    logic.setIndexFolders([str(share / "index")])
    result = logic.search(phantoms[0].series_uid)

    assert {match.series_uid for match in result.matches} == {one.series_uid for one in phantoms[1:]}
    assert [one.problem for one in result.stores] == ["", ""]
    match = elsewhere(result, share / "index")[0]
    assert all(picture.startswith(b"\xff\xd8") for picture in logic.thumbnails(result.matches))
    node = logic.loadMatch(match)
    assert {Path(file).parents[2] for file in logic._loader._reader.loaded[-1]} == {share / "archive"}
    assert logic.loadMatch(match) is node
    assert logic.similarity(match).shape == (len(result.query_table), match.n_rows)
    assert logic.showMatches(result.matches) == [] and len(logic.shownMatches) == 3
    assert logic.registerMatch(match).matrix.shape == (4, 4)
    table = logic.exportToTable(result.matches).GetTable()
    assert table.GetColumnByName("Index").GetValue(match.rank - 1) == str(share / "index")
    again = logic.searchAgain(result, phantoms[0].series_uid, criteria=SearchCriteria(unlike=(match.volume_id,)))
    assert again.matches[-1].volume_id == match.volume_id and again.matches[-1].store == match.store

    query = IndexedVolume(match.series_uid, match.volume_id)
    own = logic.search(query, top=1)
    assert own.query_id == match.volume_id and logic.showMatches(own.matches) == []
    alone = logic.search(query, stores=[])  # its index is not searched: the files are read
    assert {one.series_uid for one in alone.matches} == {one.series_uid for one in phantoms[:2]}
    assert not alone.stores and logic.showMatches(alone.matches[:1]) == []


def test_a_share_that_goes_away_is_named_the_rest_answers_and_it_is_searched_again_when_it_is_back(
    logic, phantoms, share, tmp_path
):
    logic.setIndexFolders([str(share / "index")])
    before = logic.search(phantoms[0].series_uid)
    match = elsewhere(before, share / "index")[0]
    share.rename(tmp_path / "away")
    without = logic.search(phantoms[0].series_uid)

    assert not elsewhere(without, share / "index") and len(without.matches) == 1
    assert IndexFolderTexts.notes(without.stores) == ["Not searched: share/index (not reachable)."]
    assert "connect it" in IndexFolderTexts.details(without.stores)[0]
    assert logic.thumbnails([match])[0].startswith(b"\xff\xd8")
    with pytest.raises(RuntimeError) as error:
        logic.loadMatch(match)
    assert str(match.file_paths[0]) in str(error.value) and "connect that share or drive" in str(error.value)

    (tmp_path / "away").rename(share)
    back = logic.search(phantoms[0].series_uid)
    assert [one.key for one in back.matches] == [one.key for one in before.matches]
    assert IndexFolderTexts.notes(back.stores) == []


def test_how_each_folder_stands_is_told_by_a_process(logic, share, tmp_path):
    other = tmp_path / "other"
    Retriever.create(other, "descriptor", slice_step_mm=0.0).add([share / "archive"])
    (tmp_path / "empty").mkdir()
    logic.setIndexFolders([str(share), str(other), str(tmp_path / "gone"), str(tmp_path / "empty")])

    found = logic.examineIndexFolders()

    assert [one.path for one in found] == [one.path for one in logic.indexFolders()]
    assert (found[0].folder, found[0].volumes, found[0].problem) == (str(share / "index"), 2, "")
    assert (found[0].modalities, found[0].bodyParts) == (("CT",), ("CHEST",))
    assert [one.problem for one in found[1:]] == ["other settings", "not reachable", "no index"]
    assert [one.isIndex for one in found] == [True, True, False, False]
    assert "VolumeRetrieval in the folder of a DICOM database" in found[3].details
    assert logic.examineIndexFolders([]) == []
    (own,) = logic.examineIndexFolders([slicer.dicomDatabase.databaseDirectory])
    assert own.isOwn and own.volumes == 2


def test_an_index_of_another_encoder_is_not_searched_and_says_which(logic, phantoms, share):
    _pretendAnotherEncoder(share / "index")
    (state,) = logic.examineIndexFolders([str(share / "index")])
    assert state.problem == "other encoder" and state.details.startswith("Made with another encoder (")
    result = logic.search(phantoms[0].series_uid, stores=[share / "index"])
    assert len(result.matches) == 1
    assert IndexFolderTexts.notes(result.stores) == ["Not searched: share/index (other encoder)."]


def test_with_nothing_indexed_here_the_other_indexes_answer(makeLogic, share, tmp_path):
    openDatabase(tmp_path / "database")
    logic = makeLogic()
    scan = make_query(organ="heart", field_of_view="chest", spacing_mm=(10.0, 12.0)).scan
    node = nodeOf(Volume.from_array(scan.voxels, scan.affine), "unseen")

    result = logic.search(node, criteria=SearchCriteria(excludeSamePatient=True), stores=[str(share / "index")])

    assert len(result.matches) == 2
    notes = IndexFolderTexts.notes(result.stores)
    assert notes[0].startswith("Nothing of this database is indexed yet")
    assert notes[1] == (
        "The query's patient is not known in share/index: volumes of the same patient there are not left out."
    )
    assert isinstance(logic.loadMatch(result.matches[0]).GetID(), str)


def test_plain_files_of_two_archives_with_the_same_relative_path_are_not_taken_for_each_other(logic, tmp_path):
    from engine.archives import write_image

    scans = [
        make_query(organ="heart", field_of_view="chest", spacing_mm=(10.0, 12.0), seed=seed).scan for seed in (1, 2)
    ]
    stores = []
    for number, scan in enumerate(scans):
        folder = tmp_path / str(number) / "data"
        write_image(folder / "scan.nii.gz", scan.voxels.astype(np.int16), scan.affine)
        stores.append(tmp_path / str(number) / "index")
        Retriever.create(stores[-1], "descriptor").add([folder])
    node = nodeOf(Volume.from_array(scans[0].voxels, scans[0].affine), "unseen")

    result = logic.search(node, stores=stores)

    found = [match for match in result.matches if match.store in map(str, stores)]
    assert len(found) == 2 and len({match.volume_id for match in found}) == 1
    loaded = [logic.loadMatch(match) for match in found]
    assert loaded[0] is not loaded[1]
    assert [logic.loadMatch(match) for match in found] == loaded


def test_the_list_is_kept_for_the_next_start(makeLogic, databaseFolder, tmp_path, monkeypatch):
    openDatabase(databaseFolder)
    monkeypatch.chdir(tmp_path)
    folders = (IndexFolder(str(tmp_path / "a")), IndexFolder(str(tmp_path / "b"), isSearched=False))
    first = makeLogic()
    first.setIndexFolders([*folders, replace(folders[0], path=f"{folders[0].path}/"), "a"])
    Settings().save()  # of the panel, which keeps values of its own
    second = makeLogic()
    assert second.indexFolders() == folders
    assert second._indexFolders.others() == [folders[0].path]
    assert second._indexFolders.others([second._index.folder, tmp_path / "c", "c"]) == [str(tmp_path / "c")]


def _pretendAnotherEncoder(folder: Path) -> None:
    """Name another encoder in an index, and its folder after that."""
    import sqlite3

    from VolumeRetrievalEngine.recipe import Recipe

    (store,) = folder.glob("descriptor-*")
    connection = sqlite3.connect(store / "volumes.sqlite")
    ((text,),) = connection.execute("SELECT value FROM meta WHERE name = 'recipe'").fetchall()
    recipe = replace(Recipe.from_json(text), encoder="resnet50")
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'recipe'", (recipe.to_json(),))
    connection.close()
    store.rename(folder / recipe.folder_name)
    (folder / "last-used.json").unlink()
