"""What the store holds, how it changes, and what reading costs."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine.store_samples import RECIPE, new_volume, unit_rows, volume_id
from VolumeRetrievalEngine import __version__
from VolumeRetrievalEngine.errors import EncoderError, StoreError, StoreReadOnlyError, UnknownVolumeError
from VolumeRetrievalEngine.store import AttributeFilter, VolumeStore
from VolumeRetrievalEngine.store import reader as store_reader
from VolumeRetrievalEngine.store import volume_store as store_module
from VolumeRetrievalEngine.store.codec import unpack_rows
from VolumeRetrievalEngine.volume import Attributes, Identity, SourceFiles


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VolumeStore]:
    with VolumeStore.create(tmp_path / "recipe", RECIPE, {"source": "built in"}) as one:
        yield one


def test_a_record_says_what_tells_it_from_the_others_of_its_series(store: VolumeStore) -> None:
    note = "one of 2 volumes of its series, divided by TemporalPositionIdentifier: 2"  # series_splitting.py
    store.add(dataclasses.replace(new_volume(1), notes=("gantry tilt", note)))
    store.add(new_volume(7))
    assert store.find(volume_id(1)).part == "TemporalPositionIdentifier: 2"
    assert store.find(volume_id(7)).part == ""


def test_a_volume_comes_back_as_it_was_stored(store: VolumeStore) -> None:
    entry = new_volume(7)
    key = store.add(entry)

    record = store.find(volume_id(7))
    assert record.key == key
    assert record.identity == entry.identity
    assert record.files == entry.files
    assert record.attributes == entry.attributes
    assert record.geometry == entry.geometry
    assert (record.plane, record.n_slices, record.n_rows, record.n_pooled) == ("axial", 12, 6, 2)
    assert (record.device, record.precision, record.notes) == ("cpu", "float32", ("note 7",))
    assert record.label == "series 7"

    table = store.slices(key)
    assert table.sop_uid == entry.slices.sop_uid
    for name in ("index", "frame", "origin", "normal", "position"):
        expected = getattr(entry.slices, name)
        assert getattr(table, name).dtype == expected.dtype
        np.testing.assert_array_equal(getattr(table, name), expected)

    np.testing.assert_allclose(store.embeddings(key), entry.embeddings, atol=2e-4)
    np.testing.assert_allclose(store.many_pooled([key])[0], entry.pooled, atol=2e-4)
    np.testing.assert_array_equal(store.pooled_first(key), entry.pooled_first)
    assert store.thumbnail(key, 3) == entry.thumbnails[3]
    assert store.thumbnail(key, 99) == b""


def test_a_volume_without_thumbnails_or_files_is_stored_too(store: VolumeStore) -> None:
    key = store.add(dataclasses.replace(new_volume(1), thumbnails=(), files=SourceFiles("", ())))
    assert store.thumbnail(key, 0) == b""
    assert store.find(volume_id(1)).files == SourceFiles("", ())
    assert store.verify() == []


@pytest.mark.parametrize("dimension", [64, 384, 2048])
def test_half_precision_moves_no_cosine_by_more_than_the_docstring_says(store: VolumeStore, dimension: int) -> None:
    around = unit_rows(1, dimension, seed=5)
    near = 0.95 * around + 0.3 * unit_rows(100, dimension, seed=6)  # as alike as neighboring slices
    rows = np.concatenate([unit_rows(100, dimension, seed=4), near / np.linalg.norm(near, axis=1, keepdims=True)])
    entry = new_volume(1, rows=200, dimension=dimension)
    read = store.embeddings(store.add(dataclasses.replace(entry, embeddings=rows))).astype(np.float64)

    exact = rows.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1.0, atol=1e-6)
    assert (1 - np.einsum("ij,ij->i", exact, read)).max() < 1e-6
    error = np.abs(exact @ exact.T - read @ read.T)
    assert error.max() < 2.5e-3 / np.sqrt(dimension)
    assert error.mean() < 2.5e-4 / np.sqrt(dimension)


def test_outlines_come_back_as_they_were_stored_and_may_be_added_later(store: VolumeStore) -> None:
    outlines = np.arange(24, dtype=np.float32).reshape(6, 4)
    outlines[2] = np.nan
    key = store.add(dataclasses.replace(new_volume(1), outlines=outlines))
    np.testing.assert_array_equal(store.outlines(key), outlines)
    later = store.add(new_volume(2))
    assert store.outlines(later) is None and store.without_outlines().tolist() == [later]
    generation = store.generation
    with pytest.raises(ValueError, match="6 slices"):
        store.set_outlines(later, outlines[:3])
    store.set_outlines(later, outlines)
    assert len(store.without_outlines()) == 0 and store.generation == generation, "nothing that is searched changed"
    store.remove([volume_id(1)])
    assert store._all("SELECT key FROM outlines") == [(later,)]
    assert store.verify() == []


def test_many_volumes_are_read_into_one_array_in_the_order_asked_for(store: VolumeStore) -> None:
    keys = [store.add(new_volume(number, rows=number + 3)) for number in range(5)]
    asked = [keys[3], keys[0], keys[3]]

    rows, offsets = store.many_embeddings(asked)

    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert offsets.dtype == np.int64
    assert offsets.tolist() == [0, 6, 9, 15]
    for place, key in enumerate(asked):
        np.testing.assert_array_equal(rows[offsets[place] : offsets[place + 1]], store.embeddings(key))


def test_what_volumes_are_shown_by_and_rows_as_they_lie_are_what_is_read_one_by_one(store: VolumeStore) -> None:
    keys = [store.add(new_volume(number, rows=5 + number)) for number in range(3)]
    asked = [keys[2], keys[0]]
    for one, key in zip(store.volumes(asked), asked, strict=True):
        assert one.record == store.records([key])[0]
        assert one.slices.sop_uid == store.slices(key).sop_uid
        assert one.outlines is None
        np.testing.assert_array_equal(one.embeddings, store.embeddings(key))
    for table, read in (("embeddings", store.many_embeddings), ("pooled", store.many_pooled)):
        packed, offsets = store.packed(table, asked)
        rows = np.empty(packed.shape, np.float32)
        unpack_rows(packed, out=rows)
        assert packed.dtype == np.float16
        np.testing.assert_array_equal(rows, read(asked)[0])
        np.testing.assert_array_equal(offsets, read(asked)[1])
    assert store.volumes([]) == []
    assert len(store.packed("pooled", [])[0]) == 0


def test_more_volumes_than_fit_into_one_statement_are_read(store: VolumeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_reader, "_KEYS_AT_ONCE", 3)
    keys = [store.add(new_volume(number)) for number in range(8)]
    rows, offsets = store.many_embeddings(np.array(keys))
    assert rows.shape == (48, 16)
    np.testing.assert_array_equal(rows[offsets[7] : offsets[8]], store.embeddings(keys[7]))
    assert [one.key for one in store.records(keys[::-1])] == keys[::-1]


def test_reading_no_volumes_gives_no_rows(store: VolumeStore) -> None:
    store.add(new_volume(1))
    rows, offsets = store.many_embeddings([])
    assert rows.shape == (0, 16)
    assert offsets.tolist() == [0]


def test_unknown_keys_are_named(store: VolumeStore) -> None:
    key = store.add(new_volume(1))
    with pytest.raises(UnknownVolumeError, match="4711"):
        store.many_embeddings([key, 4711])
    for read in (store.slices, store.files, store.pooled_first, store.embeddings):
        with pytest.raises(UnknownVolumeError, match="4711"):
            read(4711)
    with pytest.raises(UnknownVolumeError, match="4711"):
        store.records([4711])


def test_a_changed_volume_replaces_the_old_one_under_a_new_key(store: VolumeStore) -> None:
    old = store.add(new_volume(1, fingerprint="before"))
    new = store.add(new_volume(1, rows=9, fingerprint="after"))

    assert new != old
    assert [record.fingerprint for record in store.listing()] == ["after"]
    assert len(store.embeddings(new)) == 9
    with pytest.raises(UnknownVolumeError):
        store.embeddings(old)
    assert store.verify() == []


def test_keys_are_never_used_again(store: VolumeStore) -> None:
    last = store.add(new_volume(1))
    store.remove([volume_id(1)])
    assert store.add(new_volume(1)) > last


def test_removing_takes_everything_of_the_volume_away(store: VolumeStore) -> None:
    keep = store.add(new_volume(1))
    gone = store.add(new_volume(2))

    assert store.remove([volume_id(2), volume_id(99), volume_id(2)]) == 1

    assert store.keys().tolist() == [keep]
    connection = store._connection
    for table in ("files", "slice_geometry", "embeddings", "pooled", "thumbnails"):
        keys = {row[0] for row in connection.execute(f"SELECT key FROM {table}")}
        assert keys == {keep}, table
    assert store.changes_since(0).removed == [gone]


def test_removed_pictures_do_not_stay_in_the_file(store: VolumeStore) -> None:
    picture = b"a recognizable face" * 40
    entry = dataclasses.replace(new_volume(2), thumbnails=[picture] * 6)
    store.add(new_volume(1))
    store.add(entry)
    store.remove([volume_id(2)])
    store.close()
    assert b"a recognizable face" not in store.file.read_bytes()


def test_the_generation_rises_by_one_with_each_change(store: VolumeStore) -> None:
    seen = [store.generation]
    store.add(new_volume(1))
    seen.append(store.generation)
    store.add(new_volume(1, fingerprint="changed"))
    seen.append(store.generation)
    store.add(new_volume(2))
    seen.append(store.generation)
    store.moved(volume_id(2), new_volume(2).identity, SourceFiles("archive", ("elsewhere",)))
    seen.append(store.generation)
    store.remove([volume_id(1), volume_id(2)])
    seen.append(store.generation)
    assert seen == [0, 1, 2, 3, 4, 5]

    store.remove([volume_id(77)])
    store.set_meta("remark", "text")
    assert store.generation == 5


def test_an_index_learns_what_came_and_went_since_its_generation(store: VolumeStore) -> None:
    first = store.add(new_volume(1))
    second = store.add(new_volume(2))
    then = store.generation
    store.remove([volume_id(1)])
    third = store.add(new_volume(2, rows=9, fingerprint="changed"))
    fourth = store.add(new_volume(4, rows=4))

    changes = store.changes_since(then)

    assert changes.added == [(third, 9, 3), (fourth, 4, 2)]
    assert changes.removed == [first, second]
    assert changes.generation == store.generation
    assert not changes.rebuild
    nothing = store.changes_since(store.generation)
    assert (nothing.added, nothing.removed, nothing.rebuild) == ([], [], False)


def test_moving_a_volume_is_no_change_for_an_index(store: VolumeStore) -> None:
    store.add(new_volume(1))
    then = store.generation
    store.moved(volume_id(1), new_volume(1).identity, SourceFiles("archive", ("elsewhere",)))
    changes = store.changes_since(then)
    assert (changes.added, changes.removed) == ([], [])


@pytest.mark.parametrize("generation", [1, 99])
def test_an_index_too_old_or_not_of_this_store_is_rebuilt(
    store: VolumeStore, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    monkeypatch.setattr(store_module, "TOMBSTONES_KEPT", 2)
    for number in range(5):
        store.add(new_volume(number))
    for number in range(4):  # generations 6 to 9; the removals of 6 and 7 are forgotten
        store.remove([volume_id(number)])

    changes = store.changes_since(generation)
    assert changes.rebuild
    assert [key for key, _, _ in changes.added] == store.keys().tolist()
    assert changes.removed == []
    assert not store.changes_since(7).rebuild
    assert len(store.changes_since(7).removed) == 2
    assert store.changes_since(6).rebuild


def test_moved_files_keep_key_and_embeddings(store: VolumeStore) -> None:
    key = store.add(new_volume(1, fingerprint="same"))
    before = store.embeddings(key)
    identity = Identity(volume_id(5), "same", "", "patient", "study")
    files = SourceFiles("other root", ("new place/a.nii.gz",))

    store.moved(volume_id(1), identity, files, Attributes(modality="MR"))

    record = store.find(volume_id(5))
    assert store.find(volume_id(1)) is None
    assert (record.key, record.identity, record.files, record.n_files) == (key, identity, files, 1)
    assert record.attributes.modality == "MR"
    np.testing.assert_array_equal(store.embeddings(key), before)
    assert store.verify() == []


def test_a_file_moved_over_another_takes_its_place(store: VolumeStore) -> None:
    mover = store.add(new_volume(1, fingerprint="content 1"))
    overwritten = store.add(new_volume(2))
    then = store.generation

    store.moved(volume_id(1), Identity(volume_id(2), "content 1"), SourceFiles("archive", ("2.nii",)))

    assert store.keys().tolist() == [mover]
    assert store.find(volume_id(2)).key == mover
    assert store.changes_since(then).removed == [overwritten]


def test_moving_what_is_not_there_or_not_the_same_is_refused(store: VolumeStore) -> None:
    store.add(new_volume(1))
    with pytest.raises(UnknownVolumeError):
        store.moved(volume_id(9), new_volume(9).identity, new_volume(9).files)
    with pytest.raises(StoreError, match="not the content"):
        store.moved(volume_id(1), Identity(volume_id(1), "other content"), new_volume(1).files)


def test_volumes_are_found_by_content_and_series(store: VolumeStore) -> None:
    store.add(new_volume(1, fingerprint="twin"))
    store.add(new_volume(2, fingerprint="twin"))
    store.add(new_volume(3))

    def ids(records: list) -> list[str]:
        return [one.volume_id for one in records]

    one, two, three = (volume_id(number) for number in (1, 2, 3))
    assert ids(store.find_fingerprint("twin")) == [one, two]
    assert ids(store.find_series("1.2.3")) == [three]
    assert store.find_series("") == []


def test_listing_and_filtering_touch_the_small_table_only(store: VolumeStore) -> None:
    for number in range(3):
        store.add(new_volume(number))
    touched = set()

    def remember(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            touched.add(table)
        return sqlite3.SQLITE_OK

    store._connection.set_authorizer(remember)
    assert len(store.listing()) == 3
    assert len(store.keys()) == 3
    assert touched == {"volumes"}
    store.statistics()
    assert touched <= {"volumes", "meta", "tombstones"}
    store._connection.set_authorizer(None)
    # and that table holds nothing large
    kinds = {row[2] for row in store._connection.execute("PRAGMA table_info(volumes)")}
    assert kinds == {"INTEGER", "TEXT"}


def test_the_store_says_what_it_is(store: VolumeStore, tmp_path: Path) -> None:
    assert json.loads(store.meta("encoder_note")) == {"source": "built in"}
    assert store.meta("created_with") == __version__
    assert store.meta("nothing of the kind") is None
    assert store.dimension == 0
    store.add(new_volume(1))
    store.add(new_volume(2, attributes=Attributes()))
    store.set_meta("roots", '{"a": "b"}')
    store.set_meta("roots", '{"a": "ö"}')
    assert store.meta("roots") == '{"a": "ö"}'
    counts = store.statistics()
    assert (counts.volumes, counts.slices, counts.rows) == (2, 24, 12)
    assert (counts.dimension, counts.generation, counts.modalities) == (16, 2, {"": 1, "CT": 1})
    with VolumeStore.create(tmp_path / "another", RECIPE) as another:
        assert another.store_id != store.store_id


def test_creating_a_store_that_is_there_opens_it(store: VolumeStore) -> None:
    store.add(new_volume(1))
    identifier = store.store_id
    store.close()
    with VolumeStore.create(store.folder, RECIPE) as again:
        assert again.writable
        assert again.store_id == identifier
        assert len(again.listing()) == 1


@pytest.mark.parametrize("spoil", ["nan", "infinite", "zero", "long"])
def test_rows_that_are_no_unit_rows_are_refused_and_nothing_is_stored(store: VolumeStore, spoil: str) -> None:
    entry = new_volume(1)
    value = {"nan": np.nan, "infinite": np.inf, "zero": 0.0, "long": 3.0}[spoil]
    entry.embeddings[4] = value
    with pytest.raises(EncoderError, match=r"series 1.*row 4"):
        store.add(entry)
    assert store.listing() == []
    assert store.generation == 0


def test_embeddings_of_another_length_are_refused(store: VolumeStore) -> None:
    store.add(new_volume(1, dimension=16))
    with pytest.raises(EncoderError, match=r"32.*16"):
        store.add(new_volume(2, dimension=32))
    assert len(store.listing()) == 1
    assert store.verify() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"embeddings": unit_rows(5, 16, 1)},
        {"pooled": unit_rows(2, 8, 1)},
        {"pooled_first": np.array([0, 0])},
        {"pooled_first": np.array([1, 3])},
        {"pooled_first": np.array([0, 6])},
        {"thumbnails": [b"x"]},
        {"identity": Identity("", "f")},
    ],
)
def test_parts_that_do_not_fit_together_make_no_volume(wrong: dict) -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(new_volume(1), **wrong)


def test_pooled_rows_can_be_made_anew(store: VolumeStore) -> None:
    keys = [store.add(new_volume(number)) for number in range(2)]
    then = store.generation

    def every_second(embeddings: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(positions) == len(embeddings)
        return embeddings[::2], np.arange(0, len(embeddings), 2)

    store.rebuild_pooled(every_second)

    rows, offsets = store.many_pooled(keys)
    assert offsets.tolist() == [0, 3, 6]
    np.testing.assert_allclose(rows[3:], store.embeddings(keys[1])[::2], atol=2e-4)
    assert [record.n_pooled for record in store.listing()] == [3, 3]
    assert store.verify() == []
    assert store.changes_since(then).rebuild
    assert not store.changes_since(store.generation).rebuild


def test_lists_of_keys_follow_the_store(store: VolumeStore) -> None:
    ct = [store.add(new_volume(number, patient_token="t" if number else "")) for number in range(3)]
    with VolumeStore.open(store.folder) as reader:

        def lists() -> tuple[list[int], list[int], list[int], dict[int, str]]:
            without_one = AttributeFilter(not_volume_id=volume_id(1))
            lists = (reader.keys(), reader.keys(without_one), reader.keys_of_other_modality("ct"))
            return (*(one.tolist() for one in lists), reader.owners())

        assert reader.ids_of_series() == {key: volume_id(number) for number, key in enumerate(ct)}
        assert lists() == lists() == (ct, [ct[0], ct[2]], [], {ct[0]: "1.2.0", ct[1]: "t", ct[2]: "t"})
        mr = store.add(new_volume(3, attributes=Attributes(modality="MR")))
        assert lists()[:3] == ([*ct, mr], [ct[0], ct[2], mr], [mr])
        known = store.find(volume_id(2))
        store.moved(known.volume_id, known.identity, known.files, Attributes(modality="PT"))
        store.remove([volume_id(1)])
        assert lists()[:3] == ([ct[0], ct[2], mr],) * 2 + ([ct[2], mr],)


def test_a_store_opened_for_reading_cannot_be_changed(store: VolumeStore) -> None:
    store.add(new_volume(1))
    with VolumeStore.open(store.folder) as reader:
        assert not reader.writable
        for change in (
            lambda: reader.add(new_volume(2)),
            lambda: reader.remove([volume_id(1)]),
            lambda: reader.remove([volume_id(77)]),
            lambda: reader.set_meta("a", "b"),
        ):
            with pytest.raises(StoreReadOnlyError, match="writable=True"):
                change()
        with pytest.raises(sqlite3.OperationalError):  # not even by a mistake of ours
            reader._connection.execute("DELETE FROM volumes")


def test_a_snapshot_stays_the_same_while_the_store_changes(store: VolumeStore) -> None:
    key = store.add(new_volume(1))
    added = threading.Thread(target=store.add, args=[new_volume(2)])
    store._connection.execute("PRAGMA busy_timeout=50")  # the writer has to try again
    with VolumeStore.open(store.folder) as reader:
        with reader.snapshot():
            before = reader.generation
            added.start()  # waits until the snapshot ends
            added.join(0.3)
            assert added.is_alive()
            assert reader.generation == before
            assert reader.keys().tolist() == [key]
        added.join()
        assert len(reader.keys()) == 2


def test_several_threads_may_read_and_write_one_store(store: VolumeStore) -> None:
    keys = [store.add(new_volume(number)) for number in range(10)]
    expected, _ = store.many_embeddings(keys)
    wrong = []

    def read() -> None:
        for _ in range(20):
            if not np.array_equal(store.many_embeddings(keys)[0], expected):
                wrong.append("other rows")

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10, 20):
        store.add(new_volume(number))
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(store.listing()) == 20


@pytest.mark.parametrize("name", ["with blanks", "Röntgen 胸部", "50% #1?&a=b", "a;b'c"])
def test_folders_and_files_may_have_any_name(tmp_path: Path, name: str) -> None:
    paths = (f"{name}/ä ö.dcm", f"{name}/{name}.dcm")
    folder = tmp_path / name.replace("?", "_") if os.name == "nt" else tmp_path / name
    with VolumeStore.create(folder, RECIPE) as store:
        store.add(new_volume(1, paths=paths))
    with VolumeStore.open(folder) as store:
        record = store.listing()[0]
        assert record.label == name
        assert record.files.paths == paths


def test_a_file_name_that_is_no_text_comes_back_exactly(store: VolumeStore) -> None:
    broken = b"r\xf6ntgen/\xe4.nii".decode("utf-8", "surrogateescape")  # Latin-1 on a UTF-8 system
    store.add(new_volume(1, paths=(broken,)))
    record = store.listing()[0]
    assert record.files.paths == (broken,)
    record.label.encode("utf-8")  # can be shown
