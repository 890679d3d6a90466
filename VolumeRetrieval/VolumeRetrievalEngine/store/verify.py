"""Reading a whole store and naming what is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from ..errors import RecipeError, StoreError
from ..recipe import Recipe
from .codec import checksum, unpack_slices, unpack_texts
from .schema import translated_errors

Snapshot = AbstractContextManager[None]

#: More lines of SQLite's own check than this say nothing new.
_INTEGRITY_LINES = 10

_UNIT_TOLERANCE = 5e-3


def find_problems(connection: sqlite3.Connection, file: Path, snapshot: Callable[[], Snapshot]) -> list[str]:
    """Each problem as a sentence that names the volume and the way out; empty for a sound store.

    What belongs together is read in one `snapshot`, so that another process may go on writing in between.
    """
    problems: list[str] = []
    for check in (_file_problems, _meta_problems, _volume_problems):
        try:
            with translated_errors(file):
                problems.extend(check(connection, snapshot))
        except StoreError as error:  # so damaged that the check itself cannot read on
            problems.append(str(error))
    return problems


def _file_problems(connection: sqlite3.Connection, _: Callable[[], Snapshot]) -> Iterator[str]:
    lines = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_INTEGRITY_LINES})")]
    if lines != ["ok"]:
        found = "; ".join(line.replace("\n", " ") for line in lines)
        yield f"the file is damaged: {found}; restore it from a backup, or move it away and index again"
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} belongs to no row of {parent}; index its volume again"


def _meta_problems(connection: sqlite3.Connection, snapshot: Callable[[], Snapshot]) -> Iterator[str]:
    with snapshot():
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        newest = connection.execute("SELECT MAX(generation) FROM volumes").fetchone()[0] or 0
        both = connection.execute("SELECT COUNT(*) FROM volumes JOIN tombstones USING (key)").fetchone()[0]
    for name in ("recipe", "generation", "store_id"):
        if not meta.get(name):
            yield f"the store does not say its {name}; restore it from a backup, or move it away and index again"
    try:
        Recipe.from_json(meta.get("recipe", ""))
    except RecipeError as error:
        yield f"the store's recipe is unreadable: {error}"
    if newest > int(meta.get("generation") or 0):
        yield f"a volume of generation {newest} in a store of generation {meta.get('generation')}; index again"
    if both:
        yield f"{both} volumes are listed as removed as well; remove them and index them again"


def _volume_problems(connection: sqlite3.Connection, snapshot: Callable[[], Snapshot]) -> Iterator[str]:
    for (key,) in connection.execute("SELECT key FROM volumes ORDER BY key").fetchall():
        with snapshot():
            sql = "SELECT volume_id, label, n_rows, n_pooled, n_files FROM volumes WHERE key = ?"
            row = connection.execute(sql, (key,)).fetchone()
            if row is None:  # removed since
                continue
            volume_id, label, *counts = row
            try:
                found = list(_problems_of(connection, key, *counts))
            except (sqlite3.DatabaseError, TypeError) as error:  # one unreadable volume must not hide the next
                found = [f"it cannot be read ({error})"]
        if found:
            yield f"volume {volume_id} ({label}): {'; '.join(found)}; remove it and index it again"


def _problems_of(connection: sqlite3.Connection, key: int, n_rows: int, n_pooled: int, n_files: int) -> Iterator[str]:
    dimension = int((connection.execute("SELECT value FROM meta WHERE name = 'dimension'").fetchone() or ("0",))[0])
    yield from _embedding_problems(connection, key, n_rows, dimension)
    yield from _pooled_problems(connection, key, n_rows, n_pooled, dimension)
    yield from _slice_problems(connection, key, n_rows)
    yield from _outline_problems(connection, key, n_rows)
    yield from _thumbnail_problems(connection, key, n_rows)
    yield from _file_list_problems(connection, key, n_files)


def _embedding_problems(connection: sqlite3.Connection, key: int, n_rows: int, dimension: int) -> Iterator[str]:
    row = connection.execute("SELECT data, checksum FROM embeddings WHERE key = ?", (key,)).fetchone()
    if row is None:
        yield "its embeddings are missing"
        return
    yield from _matrix_problems("embeddings", row[0], row[1], n_rows, dimension)


def _pooled_problems(
    connection: sqlite3.Connection, key: int, n_rows: int, n_pooled: int, dimension: int
) -> Iterator[str]:
    sql = "SELECT data, checksum, first_row, source FROM pooled WHERE key = ?"
    row = connection.execute(sql, (key,)).fetchone()
    if row is None:
        yield "its pooled rows are missing"
        return
    data, stored_checksum, packed_first, source = row
    yield from _matrix_problems("pooled rows", data, stored_checksum, n_pooled, dimension)
    first = np.frombuffer(packed_first, "<i4") if len(packed_first) == 4 * n_pooled else np.zeros(0, "<i4")
    if len(first) != n_pooled or first[0] != 0 or (np.diff(first) <= 0).any() or first[-1] >= n_rows:
        yield f"the groups of its pooled rows do not divide its {n_rows} rows"
    of_embeddings = connection.execute("SELECT checksum FROM embeddings WHERE key = ?", (key,)).fetchone()
    if of_embeddings and of_embeddings[0] != source:
        yield "its pooled rows were made from other embeddings"


def _matrix_problems(name: str, data: bytes, stored_checksum: int, n_rows: int, dimension: int) -> Iterator[str]:
    if len(data) != 2 * n_rows * dimension:
        yield f"its {name} have {len(data)} bytes, expected {n_rows} x {dimension} x 2"
        return
    if checksum(data) != stored_checksum:
        yield f"its {name} are not what was written (checksum)"
    rows = np.frombuffer(data, "<f2").reshape(n_rows, dimension).astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if wrong := int(np.count_nonzero(~(np.abs(length - 1.0) <= _UNIT_TOLERANCE))):  # not (... > ...): also finds NaN
        yield f"{wrong} of its {name} are not finite rows of length 1"


def _slice_problems(connection: sqlite3.Connection, key: int, n_rows: int) -> Iterator[str]:
    names = ("slice_index", "frame", "origin", "normal", "position", "sop_uids")
    sql = f"SELECT {', '.join(names)}, checksum FROM slice_geometry WHERE key = ?"
    row = connection.execute(sql, (key,)).fetchone()
    if row is None:
        yield "its slice table is missing"
        return
    *columns, stored_checksum = row
    try:
        table = unpack_slices(dict(zip(names, columns, strict=True)))
    except ValueError as error:
        yield f"its slice table cannot be read ({error})"
        return
    if len(table) != n_rows:
        yield f"its slice table has {len(table)} rows, expected {n_rows}"
    elif not all(np.isfinite(column).all() for column in (table.origin, table.normal, table.position)):
        yield "its slice table holds positions that are not finite"
    elif checksum(b"".join(columns)) != stored_checksum:
        yield "its slice table is not what was written (checksum)"


def _outline_problems(connection: sqlite3.Connection, key: int, n_rows: int) -> Iterator[str]:
    if connection.execute("PRAGMA user_version").fetchone()[0] < 2:
        return
    row = connection.execute("SELECT data, checksum FROM outlines WHERE key = ?", (key,)).fetchone()
    if row is not None and (len(row[0]) != 16 * n_rows or checksum(row[0]) != row[1]):
        yield "its outlines are not what was written (checksum)"


def _thumbnail_problems(connection: sqlite3.Connection, key: int, n_rows: int) -> Iterator[str]:
    strays = "SELECT COUNT(*) FROM thumbnails WHERE key = ? AND (row < 0 OR row >= ?)"
    if count := connection.execute(strays, (key, n_rows)).fetchone()[0]:
        yield f"{count} thumbnails belong to no slice"
    pictures = connection.execute("SELECT jpeg, checksum FROM thumbnails WHERE key = ?", (key,))
    if count := sum(checksum(jpeg) != stored for jpeg, stored in pictures):
        yield f"{count} of its thumbnails are not what was written (checksum)"


def _file_list_problems(connection: sqlite3.Connection, key: int, n_files: int) -> Iterator[str]:
    row = connection.execute("SELECT paths FROM files WHERE key = ?", (key,)).fetchone()
    try:
        count = len(unpack_texts(row[0])) - 1 if row else -1
    except ValueError:
        count = -1
    if count != n_files:
        yield f"its list of files cannot be read (expected {n_files})"
