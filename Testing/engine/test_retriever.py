"""The facade: what a user of the engine can rely on, on small phantom archives."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_archive, write_image, write_scan
from VolumeRetrievalEngine.errors import (
    EmptyRegionError,
    EncoderError,
    QueryError,
    StoreError,
    StoreLockedError,
    UnknownVolumeError,
)
from VolumeRetrievalEngine.method.late_interaction import score, similarity_matrix
from VolumeRetrievalEngine.progress import Cancelled, Progress
from VolumeRetrievalEngine.query.region import BoxRAS, MaskRegion, SingleSlice, SliceRange
from VolumeRetrievalEngine.reading import MetadataTable
from VolumeRetrievalEngine.recipe import PREPROCESSING_VERSION
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.slice_index import exact_index, faiss_index
from VolumeRetrievalEngine.slice_index.slice_index import SliceIndex
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.volume import Attributes, Volume

UNSEEN = 7


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> Path:
    """An archive of three patients and its index (<folder>/archive, <folder>/store), for tests that only read."""
    folder = tmp_path_factory.mktemp("indexed")
    write_archive(folder / "archive")
    Retriever.create(folder / "store", "descriptor").add([folder / "archive"])
    return folder


@pytest.fixture
def retriever(indexed: Path) -> Retriever:
    return Retriever.open(indexed / "store")


@pytest.fixture
def unseen_chest() -> Volume:
    one = a_scan(UNSEEN, "chest")
    return Volume.from_array(one.voxels, one.affine)


def test_a_scan_without_a_modality_is_searched_with_in_the_windows_of_what_it_shows(retriever, unseen_chest):
    told = replace(unseen_chest, attributes=Attributes(modality="CT"))
    assert unseen_chest.attributes.modality == ""

    inferred, known = (retriever.search(one, options=SearchOptions(top=9)) for one in (unseen_chest, told))

    assert [(match.key, match.score) for match in inferred.matches] == [
        (match.key, match.score) for match in known.matches
    ]


def names(result) -> list[str]:
    return [Path(match.path).name.removesuffix(".nii.gz") for match in result.matches]


def test_an_unseen_chest_finds_the_chests_first(retriever, unseen_chest):
    assert {name.partition("-")[0] for name in names(retriever.search(unseen_chest))[:3]} == {"chest"}


def test_every_match_says_what_it_is_and_where(retriever, unseen_chest):
    best = retriever.search(unseen_chest).matches[0]

    assert best.rank == 1
    assert -1 <= best.score <= 1
    assert best.similarity.shape == (len(best.correspondence.best), best.n_rows)
    assert all(0 <= one.first_slice <= one.last_slice < best.n_slices for one in best.ranges)
    assert best.place.first_slice <= best.best_slice <= best.place.last_slice
    assert best.place.query_first_row <= best.best_query_row <= best.place.query_last_row
    on_path = best.similarity[np.arange(len(best.similarity)), np.rint(best.correspondence.path).astype(int)]
    assert best.similarity[best.best_query_row, best.best_row] == pytest.approx(on_path.max(), abs=0.02)


def test_plain_scores_are_the_mean_maximum_similarity_over_the_query_slices(retriever, unseen_chest):
    for match in retriever.search(unseen_chest, options=SearchOptions.plain()).matches:
        assert match.score == pytest.approx(score(match.similarity) / len(match.similarity), abs=1e-5)


def test_a_region_is_found_at_its_height_in_another_patient(retriever):
    query, other = a_scan(UNSEEN, "abdomen"), a_scan(0, "abdomen")
    volume = Volume.from_array(query.voxels, query.affine)
    region = BoxRAS(*(tuple(corner) for corner in query.organ_box("bladder" if "bladder" in query.masks else "liver")))

    result = retriever.search(volume, region=region, options=SearchOptions(top=9))

    match = next(one for one, name in zip(result.matches, names(result), strict=True) if name == "abdomen-0")
    low, high = other.organ_box("liver")
    middle = (match.ranges[0].start_mm + match.ranges[0].end_mm) / 2
    assert low[2] - 20 <= middle <= high[2] + 20


def test_a_slice_has_the_same_embedding_in_a_region_as_in_its_whole_volume(retriever, unseen_chest):
    whole = retriever.search(unseen_chest, options=SearchOptions(top=1, ranking="exhaustive"))
    row = 5
    part = retriever.search(
        unseen_chest,
        region=SingleSlice(int(whole.query_table.index[row])),
        options=SearchOptions(top=9, ranking="exhaustive"),
    )
    same = next(match for match in part.matches if match.key == whole.matches[0].key)

    np.testing.assert_allclose(same.similarity[0], whole.matches[0].similarity[row], atol=1e-6)


def test_crop_changes_what_is_compared(retriever, unseen_chest):
    scan = a_scan(UNSEEN, "chest")
    region = MaskRegion(scan.masks["heart"], scan.affine)

    whole, cropped = (
        retriever.search(unseen_chest, region=region, crop=crop).matches[0].score for crop in (False, True)
    )

    assert whole != pytest.approx(cropped, abs=1e-4)


def test_crop_needs_a_region_that_is_bounded_in_plane(retriever, unseen_chest):
    with pytest.raises(QueryError, match="bounded in plane"):
        retriever.search(unseen_chest, region=SliceRange(1, 3), crop=True)


def test_an_indexed_volume_is_searched_with_without_reading_it(tmp_path):
    write_archive(tmp_path / "archive", range(2))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "archive"])
    record = retriever.find(str(tmp_path / "archive" / "chest-0.nii.gz"))
    shutil.rmtree(tmp_path / "archive")

    result = retriever.search(record.volume_id)

    assert names(result)[0] == "chest-1"
    assert record.volume_id not in [match.volume_id for match in result.matches]


def test_an_unchanged_file_is_recognized_as_indexed(retriever, indexed):
    assert (
        retriever.resolve_query(indexed / "archive" / "head-1.nii.gz")
        == retriever.find(str(indexed / "archive" / "head-1.nii.gz")).volume_id
    )


@pytest.mark.parametrize("options", [{"filter": "slices"}, {"filter": "pooled"}])
def test_filtering_loses_nothing_of_the_exhaustive_ranking(retriever, unseen_chest, options):
    fast = retriever.search(unseen_chest, options=SearchOptions(top=5, **options))
    exact = retriever.search(unseen_chest, options=SearchOptions(top=5, ranking="exhaustive"))

    assert names(fast) == names(exact)
    assert [one.score for one in fast.matches] == pytest.approx([one.score for one in exact.matches], abs=1e-6)


def test_the_exhaustive_score_is_the_one_of_the_definition(retriever, unseen_chest, indexed):
    result = retriever.search(unseen_chest, options=SearchOptions(top=9, ranking="exhaustive"))
    with VolumeStore.open(next(iter((indexed / "store").glob("descriptor-*")))) as store:
        for match in result.matches:
            again = retriever.search(match.volume_id, options=SearchOptions(exclude=frozenset(), ranking="exhaustive"))
            stored = store.embeddings(match.key)
            assert again.matches[0].volume_id == match.volume_id
            assert again.matches[0].score == pytest.approx(score(similarity_matrix(stored, stored)) / len(stored))


@pytest.mark.parametrize("ranking", ["count", "sum", "maximum"])
def test_the_baselines_rank_too(retriever, unseen_chest, ranking):
    result = retriever.search(unseen_chest, options=SearchOptions(ranking=ranking, rows=10))

    assert names(result)[0].startswith("chest")
    assert [one.score for one in result.matches] == sorted((one.score for one in result.matches), reverse=True)


def test_a_filter_holds_for_every_result(indexed, unseen_chest, tmp_path):
    table = tmp_path / "metadata.csv"
    rows = [
        f"{indexed}/archive/{view}-{seed}.nii.gz,CT,{view.upper()},patient {seed}"
        for view in ("chest", "head", "abdomen")
        for seed in range(3)
    ]
    table.write_text("\n".join(["path,modality,body_part,patient", *rows]))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([indexed / "archive"], metadata=MetadataTable.from_csv(table))

    only = retriever.search(unseen_chest, options=SearchOptions(attributes=AttributeFilter.parse(["body_part=head"])))
    none = retriever.search(unseen_chest, options=SearchOptions(attributes=AttributeFilter.parse(["modality=MR"])))

    assert {name.partition("-")[0] for name in names(only)} == {"head"}
    assert only.n_volumes == 3
    assert none.matches == () and "no volume passes" in none.notes[0]

    record = retriever.find(f"{indexed}/archive/chest-0.nii.gz")
    others = retriever.search(record.volume_id, options=SearchOptions(exclude=frozenset({"volume", "patient"})))
    assert not [name for name in names(others) if name.endswith("-0")]


def test_an_indexed_volume_keeps_what_a_table_said_of_it_when_it_is_read_again(tmp_path):
    paths = write_archive(tmp_path / "archive", range(2))
    table = tmp_path / "metadata.csv"
    table.write_text("path,modality,patient\n" + "".join(f"{path},MR,{name[-1]}\n" for name, path in paths.items()))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "archive"], metadata=MetadataTable.from_csv(table))
    record = retriever.find(str(paths["chest-0"]))

    again = retriever.read_again(record)
    everywhere = BoxRAS((-1e4, -1e4, -1e4), (1e4, 1e4, 1e4))
    others = SearchOptions(exclude=frozenset({"patient"}))
    cropped = retriever.search(record.volume_id, region=everywhere, crop=True, options=others)

    assert again.attributes == record.attributes and again.attributes.modality_from == "csv"
    assert again.identity == record.identity
    assert sorted(names(cropped)) == ["abdomen-1", "chest-1", "head-1"]


@pytest.mark.parametrize("kind", [str, Path])
def test_an_indexed_file_given_by_its_path_is_known_and_does_not_find_itself(retriever, indexed, monkeypatch, kind):
    path = indexed / "archive" / "chest-0.nii.gz"
    monkeypatch.setattr(retriever, "encoder", lambda: pytest.fail("an indexed volume was embedded again"))

    result = retriever.search(kind(path))

    assert result.query_id == retriever.find(str(path)).volume_id
    assert result.query_path == str(path)
    assert "chest-0" not in names(result) and len(result.matches) == 8


def test_what_is_unchanged_costs_nothing_and_what_changed_is_replaced(tmp_path, monkeypatch):
    paths = write_archive(tmp_path / "archive", range(1))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    first = retriever.add([tmp_path / "archive"])
    embedded = []
    encoder = retriever.encoder()
    embed = encoder.embed
    monkeypatch.setattr(encoder, "embed", lambda images: embedded.append(len(images)) or embed(images))

    again = retriever.add([tmp_path / "archive"])
    write_scan(paths["head-0"], a_scan(1, "head"))
    changed = retriever.add([tmp_path / "archive"])

    assert (len(first.added), again.unchanged, len(again.added)) == (3, 3, 0)
    assert (len(changed.replaced), changed.unchanged) == (1, 2)
    assert sum(embedded) == changed.slices
    assert len(retriever.listing()) == 3


def test_a_moved_file_is_recognized(tmp_path):
    paths = write_archive(tmp_path / "archive", range(1))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "archive"])
    paths["head-0"].parent.joinpath("new place").mkdir()
    paths["head-0"].rename(paths["head-0"].parent / "new place" / "Schädel.nii.gz")

    report = retriever.add([tmp_path / "archive"])

    assert (len(report.moved), len(report.added), report.slices) == (1, 0, 0)
    assert retriever.path_of(retriever.find(report.moved[0])).endswith("new place/Schädel.nii.gz")


def test_an_archive_that_moved_as_a_whole_is_recognized(tmp_path):
    write_archive(tmp_path / "old" / "archive", range(1))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "old" / "archive"])
    (tmp_path / "old" / "archive").rename(tmp_path / "archive")

    report = retriever.add([tmp_path / "archive"])

    assert (report.unchanged + len(report.moved), len(report.added)) == (3, 0)
    assert all(Path(retriever.path_of(record)).is_file() for record in retriever.listing())


def test_volumes_that_are_gone_are_counted_and_removed_when_asked(tmp_path):
    paths = write_archive(tmp_path / "archive", range(1))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "archive"])
    paths["head-0"].unlink()

    kept = retriever.add([tmp_path / "archive"])
    pruned = retriever.add([tmp_path / "archive"], prune=True)

    assert (len(kept.gone), kept.pruned, pruned.pruned) == (1, 0, 1)
    assert len(retriever.listing()) == 2


def test_removed_volumes_are_not_found_any_more(tmp_path, unseen_chest):
    write_archive(tmp_path / "archive", range(2))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    retriever.add([tmp_path / "archive"])
    first = retriever.search(unseen_chest).matches[0]

    assert retriever.remove([first.volume_id[:8]]) == [first.volume_id]
    assert first.volume_id not in [match.volume_id for match in retriever.search(unseen_chest).matches]
    with pytest.raises(UnknownVolumeError, match="no indexed volume"):
        retriever.remove([first.volume_id])


def test_a_search_sees_what_was_indexed_meanwhile(tmp_path, unseen_chest):
    paths = write_archive(tmp_path / "archive", range(2))
    Retriever.create(tmp_path / "store", "descriptor").add([paths["head-0"], paths["chest-0"]])
    searching = Retriever.open(tmp_path / "store")
    before = names(searching.search(unseen_chest))

    Retriever.create(tmp_path / "store").add([tmp_path / "archive"])

    assert len(before) == 2
    assert len(names(searching.search(unseen_chest))) == 6


def test_a_second_writer_is_told_who_is_writing(tmp_path):
    write_archive(tmp_path / "archive", range(1))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    folder = next(iter((tmp_path / "store").glob("descriptor-*")))
    with VolumeStore.open(folder, writable=True), pytest.raises(StoreLockedError, match=str(os.getpid())):
        retriever.add([tmp_path / "archive"])


@pytest.mark.parametrize(
    ("options", "opened"), [({"filter": "pooled"}, {"pooled"}), ({"filter": "slices"}, {"slices"}), ({}, {"pooled"})]
)
def test_a_search_opens_only_the_index_that_it_needs(indexed, unseen_chest, monkeypatch, options, opened):
    levels, opening = [], SliceIndex.open
    monkeypatch.setattr(
        SliceIndex, "open", lambda *all, **named: (levels.append(named["level"]), opening(*all, **named))[1]
    )
    with Retriever.open(indexed / "store") as retriever:
        retriever.search(unseen_chest, options=SearchOptions(**options))
    assert set(levels) == opened


def test_a_rebuild_makes_each_index_once(tmp_path, monkeypatch):
    write_archive(tmp_path / "archive", range(1))
    Retriever.create(tmp_path / "store", "descriptor").add([tmp_path / "archive"])
    made, make = [], SliceIndex._rebuild
    monkeypatch.setattr(SliceIndex, "_rebuild", lambda self, *given: (made.append(self.level), make(self, *given)))
    Retriever.open(tmp_path / "store", index_kind="numpy").rebuild()
    assert sorted(made) == ["pooled", "slices"]


def test_a_run_that_is_stopped_while_its_index_is_built_has_stored_all_volumes(tmp_path, monkeypatch):
    for module in (exact_index, faiss_index):
        monkeypatch.setattr(module, "ROWS_AT_A_TIME", 1)
    write_archive(tmp_path / "archive", range(1))

    def stop_building(step: Progress) -> None:
        if step.stage == "build":
            raise Cancelled

    retriever = Retriever.create(tmp_path / "store", "descriptor")
    stopped = retriever.add([tmp_path / "archive"], progress=stop_building)
    volumes = retriever.listing()
    assert stopped.cancelled and len(stopped.added) == len(volumes) > 1
    retriever.close()  # a search builds what is not there, and can be stopped, too
    with pytest.raises(Cancelled):
        retriever.search(volumes[0].volume_id, progress=stop_building)
    assert len(retriever.search(volumes[0].volume_id).matches) == len(volumes) - 1
    assert not retriever.rebuild(stop_building)

    steps: list[Progress] = []
    again = retriever.add([tmp_path / "archive"], progress=steps.append)
    assert (again.cancelled, again.unchanged) == (False, len(volumes))
    assert "build" in {step.stage for step in steps}


def test_the_kind_of_index_that_was_asked_for_stays(tmp_path):
    pytest.importorskip("faiss")
    write_archive(tmp_path / "archive", range(2))
    store = tmp_path / "store"
    Retriever.create(store, "descriptor").add([tmp_path / "archive" / "head-0.nii.gz"])
    Retriever.open(store, index_kind="hnsw").rebuild()

    Retriever.create(store).add([tmp_path / "archive"])
    kept = Retriever.open(store).status().index_kind
    Retriever.open(store).rebuild()

    assert (kept, Retriever.open(store).status().index_kind) == ("hnsw", "flat")


def test_two_recipes_never_mix(tmp_path, unseen_chest):
    write_archive(tmp_path / "archive", range(1))
    Retriever.create(tmp_path / "store", "descriptor").add([tmp_path / "archive"])
    other = Retriever.create(tmp_path / "store", slice_step_mm=12)

    assert other.listing() == []
    assert len(list((tmp_path / "store").glob("descriptor-*"))) == 2
    # The recipe used last is the one that is opened, and the one that is indexed with.
    assert Retriever.open(tmp_path / "store").recipe.slice_step_mm == 12
    assert Retriever.create(tmp_path / "store").recipe.slice_step_mm == 12


def test_an_index_of_an_earlier_preprocessing_is_searched_and_updated_as_it_is_until_it_is_renewed(tmp_path):
    write_archive(tmp_path / "archive", range(1))
    inside = a_scan(UNSEEN, "chest")
    padded = np.pad(inside.voxels, ((4, 0), (0, 0), (0, 0)), constant_values=-1000)
    query = Volume.from_array(padded, inside.affine, Attributes(modality="CT"))
    first = Retriever.create(tmp_path / "store", "descriptor", slice_step_mm=12, preprocessing_version=1)
    first.add([tmp_path / "archive"])
    for name in ("", "descriptor"):  # both go on with it
        again = Retriever.create(tmp_path / "store", name, **({"slice_step_mm": 12} if name else {}))
        assert again.recipe == first.recipe
    opened = Retriever.open(tmp_path / "store")
    assert "version 1 of the preprocessing" in opened.status().in_words()
    assert opened.search(query).query_table.index[0] == 0  # the slices of air, too, as its own volumes were made

    new = Retriever.create(tmp_path / "store", renew=True)

    assert new.recipe == replace(first.recipe, preprocessing_version=PREPROCESSING_VERSION)
    assert new.listing() == [] and "preprocessing" not in new.status().in_words()
    new.add([tmp_path / "archive"])
    assert new.search(query).query_table.index[0] > 0
    assert Retriever.open(tmp_path / "store", "descriptor").recipe == new.recipe


def test_slices_of_air_are_neither_indexed_nor_searched_with_and_places_count_all_slices(tmp_path):
    one, other = a_scan(0, "chest"), a_scan(UNSEEN, "chest")

    def volume(scan, below: int) -> Volume:
        voxels = np.pad(scan.voxels, ((below, 3), (0, 0), (0, 0)), constant_values=-3024)
        affine = scan.affine.copy()
        affine[:3, 3] -= below * affine[:3, 2]
        return Volume.from_array(voxels, affine, Attributes(modality="CT"))

    padded = volume(one, 20)
    write_image(tmp_path / "archive" / "one.nii.gz", padded.voxels.astype(np.int16), padded.affine)
    noise = np.random.default_rng(0).normal(-1000, 5, (8, 20, 20)).astype(np.int16)
    write_image(tmp_path / "archive" / "air.nii.gz", noise, np.eye(4))
    retriever = Retriever.create(tmp_path / "store", "descriptor")
    report = retriever.add([tmp_path / "archive"], modality="CT")
    assert len(report.added) == 1 and [one.path.name for one in report.skipped] == ["air.nii.gz"]
    (record,) = retriever.listing()
    table = retriever.slices(record)
    assert record.n_slices == len(padded.voxels) and table.index[0] >= 20 and table.index[-1] < record.n_slices - 3

    query = volume(other, 12)
    (match,) = retriever.search(query).matches
    assert match.n_rows == len(table) == match.similarity.shape[1]
    assert 20 <= match.place.first_slice < match.place.last_slice < record.n_slices - 3
    with pytest.raises(EmptyRegionError, match=r"axial slices 1-5: there is nothing but air; .* number 1[0-9]"):
        retriever.search(query, region=SliceRange(0, 4, "axial"))
    some = retriever.search(query, region=SliceRange(4, 20))
    assert some.query_table.index[0] >= 12 and some.query_table.index[-1] <= 20
    below = query.affine[:3, 3] + query.affine[:3, :3] @ [40, 40, 2]
    with pytest.raises(EmptyRegionError, match="nothing but air"):
        retriever.search(query, region=BoxRAS(tuple(below - 4), tuple(below + 4)))
    corner = query.affine[:3, 3] + query.affine[:3, :3] @ [1, 1, 30]  # beside the body, on slices that show it
    with pytest.raises(EmptyRegionError, match="nothing but air"):
        retriever.search(query, region=BoxRAS(tuple(corner - 4), tuple(corner + 4)), crop=True)


def test_nothing_indexed_yet_is_said_plainly(tmp_path):
    with pytest.raises(StoreError, match="index something first"):
        Retriever.open(tmp_path / "nothing here")


def test_a_search_in_an_empty_store_says_to_index_something(tmp_path, unseen_chest):
    result = Retriever.create(tmp_path / "store", "descriptor").search(unseen_chest)
    assert result.matches == () and "index a folder first" in result.notes[0]


def test_an_unknown_encoder_is_named(tmp_path):
    with pytest.raises(EncoderError, match="no-such-encoder"):
        Retriever.create(tmp_path / "store", "no-such-encoder")


def test_a_region_that_misses_the_volume_says_where_both_are(retriever, unseen_chest):
    with pytest.raises(EmptyRegionError, match="mm"):
        retriever.search(unseen_chest, region=BoxRAS((5000, 5000, 5000), (5010, 5010, 5010)))


def test_a_bad_volume_is_reported_and_the_rest_goes_on(tmp_path):
    write_archive(tmp_path / "archive", range(1))
    (tmp_path / "archive" / "truncated.nii.gz").write_bytes(
        (tmp_path / "archive" / "chest-0.nii.gz").read_bytes()[:2000]
    )
    write_image(tmp_path / "archive" / "empty.nii.gz", np.full((5, 8, 8), np.nan, np.float32), np.eye(4))

    report = Retriever.create(tmp_path / "store", "descriptor").add([tmp_path / "archive"])

    assert len(report.added) == 3
    assert {one.path.name for one in (*report.failed, *report.skipped)} == {"truncated.nii.gz", "empty.nii.gz"}
    assert all(one.reason for one in (*report.failed, *report.skipped))


def test_paths_with_blanks_and_letters_of_any_script_work(tmp_path, unseen_chest):
    write_scan(tmp_path / "Übung 1" / "胸部 CT.nii.gz", a_scan(0, "chest"))
    retriever = Retriever.create(tmp_path / "索引 store", "descriptor")
    retriever.add([tmp_path / "Übung 1"])

    assert retriever.search(unseen_chest).matches[0].path.endswith("胸部 CT.nii.gz")
