"""The tables of a store, how its file is opened, and what SQLite's errors mean to the user.

Rollback journal, not WAL, which fails on network shares. The journal is truncated rather than deleted: one inode less
to write for each volume. `synchronous=FULL`, although it costs a few disk flushes for each volume: the index files
next to the store are made from committed generations, so a generation that was once seen must not be lost, and then
used again for something else, when the power fails. Against embedding a volume the flushes are nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ..errors import DamagedStoreError, StoreError, StoreReadOnlyError, StoreVersionError

STORE_FILE = "volumes.sqlite"

#: Raised whenever the tables change. Readers know all versions up to this one; a writer brings the file up to it.
#: 1: the first. 2: `outlines`, where the body lies on each slice; earlier volumes have none until they are added.
SCHEMA_VERSION = 2

#: "VRst" in the file's header: this is a store, and no other program's database.
APPLICATION_ID = 0x56527374

#: How long a reader waits: a writer needs the file to itself for moments only.
_READER_WAITS_S = 60.0

#: How long SQLite itself waits for a writer; store.py then tries again, so that Ctrl-C is heard in between.
_WRITER_WAITS_S = 2.0

# Blobs of 100 kB and more read about twice as fast from larger pages than from SQLite's 4096 bytes.
_PAGE_SIZE = 16384

#: What SQLite says where files cannot be locked.
_NO_LOCKS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS}

#: Where the body lies on each embedded slice: float32 [n_rows, 4], see preprocessing/outline.py. No row where that is
#: not known, because the volume was indexed before there were outlines.
_OUTLINES = """
    CREATE TABLE IF NOT EXISTS outlines (
        key      INTEGER PRIMARY KEY REFERENCES volumes ON DELETE CASCADE,
        data     BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )
    """

TABLES = (
    """
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    # Small: listing and filtering read nothing else. AUTOINCREMENT: a key is never used twice, indexes rely on it.
    """
    CREATE TABLE volumes (
        key                INTEGER PRIMARY KEY AUTOINCREMENT,
        volume_id          TEXT NOT NULL UNIQUE,
        generation         INTEGER NOT NULL,
        fingerprint        TEXT NOT NULL,
        series_uid         TEXT NOT NULL,
        patient_token      TEXT NOT NULL,
        study_token        TEXT NOT NULL,
        modality           TEXT NOT NULL,
        modality_from      TEXT NOT NULL,
        body_part          TEXT NOT NULL,
        study_date         TEXT NOT NULL,
        manufacturer       TEXT NOT NULL,
        contrast_agent     TEXT NOT NULL,
        series_description TEXT NOT NULL,
        plane              TEXT NOT NULL,
        n_slices           INTEGER NOT NULL,
        n_rows             INTEGER NOT NULL,
        n_pooled           INTEGER NOT NULL,
        n_files            INTEGER NOT NULL,
        root               TEXT NOT NULL,
        label              TEXT NOT NULL,
        device             TEXT NOT NULL,
        precision          TEXT NOT NULL,
        indexed_at         TEXT NOT NULL,
        notes              TEXT NOT NULL,
        geometry           TEXT NOT NULL
    )
    """,
    "CREATE INDEX volumes_fingerprint ON volumes (fingerprint)",
    "CREATE INDEX volumes_series_uid ON volumes (series_uid)",
    "CREATE INDEX volumes_generation ON volumes (generation)",
    """
    CREATE TABLE files (
        key   INTEGER PRIMARY KEY REFERENCES volumes ON DELETE CASCADE,
        paths BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE slice_geometry (
        key         INTEGER PRIMARY KEY REFERENCES volumes ON DELETE CASCADE,
        slice_index BLOB NOT NULL,
        frame       BLOB NOT NULL,
        origin      BLOB NOT NULL,
        normal      BLOB NOT NULL,
        position    BLOB NOT NULL,
        sop_uids    BLOB NOT NULL,
        checksum    INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE embeddings (
        key      INTEGER PRIMARY KEY REFERENCES volumes ON DELETE CASCADE,
        data     BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
    # `source` is the checksum of the embeddings that the pooled rows were made from.
    """
    CREATE TABLE pooled (
        key       INTEGER PRIMARY KEY REFERENCES volumes ON DELETE CASCADE,
        data      BLOB NOT NULL,
        first_row BLOB NOT NULL,
        checksum  INTEGER NOT NULL,
        source    INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE thumbnails (
        key      INTEGER NOT NULL REFERENCES volumes ON DELETE CASCADE,
        row      INTEGER NOT NULL,
        jpeg     BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        UNIQUE (key, row)
    )
    """,
    """
    CREATE TABLE tombstones (
        key        INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL
    )
    """,
    "CREATE INDEX tombstones_generation ON tombstones (generation)",
    _OUTLINES,
)


def connect(file: Path, writable: bool) -> sqlite3.Connection:
    """Open a store's existing file.

    A reader, too, opens the file for writing where it may, but with `query_only`: it can then undo what a killed
    writer left half done. SQLite falls back to reading where it must. Only where even that fails (a medium or a share
    without locks) is the file opened as immutable. That is not the first choice for a folder that cannot be written,
    because another account may be writing to it: an immutable reader would never see the new volumes, and could read
    half-written pages.

    Raises:
        StoreReadOnlyError: a half-written transaction has to be undone and cannot be.
        DamagedStoreError: not an SQLite file, or no whole one.
        StoreError: it cannot be opened.
    """
    with translated_errors(file):
        try:
            return _configured(_open(file, "mode=rw"), writable)
        except sqlite3.OperationalError as error:
            if writable or error.sqlite_errorcode & 0xFF not in _NO_LOCKS or _can_write(file):
                raise
            if _has_unfinished_write(file):
                raise StoreReadOnlyError(_unfinished_text(file), folder=str(file.parent)) from error
        return _configured(_open(file, "mode=ro&immutable=1"), writable=False)


def is_absent(file: Path) -> bool:
    """Whether there is no store's file, or only what a process left that was killed while making one."""
    try:
        if file.stat().st_size == 0:
            return True
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # there, but not for this account: opening it says so
    if not _has_unfinished_write(file):
        return False
    connection = connect(file, writable=False)  # undoes the unfinished write, which may have been the first
    try:
        with translated_errors(file):
            return connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0
    finally:
        connection.close()


def create_tables(file: Path, meta: dict[str, str]) -> None:
    """Make a store's file with everything in it, or nothing. The caller holds the writer's lock."""
    with translated_errors(file):
        connection = _open(file, "mode=rwc")
        try:
            connection.execute(f"PRAGMA page_size={_PAGE_SIZE}")
            _configured(connection, writable=True)
            connection.execute("BEGIN IMMEDIATE")
            for statement in TABLES:
                connection.execute(statement)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
        finally:
            connection.close()


def check_version(connection: sqlite3.Connection, file: Path) -> None:
    """Refuse politely what this engine cannot read.

    Raises:
        StoreVersionError: written by a newer engine.
        DamagedStoreError: another program's database.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise DamagedStoreError(
            f"{file}: is a database, but not a store of VolumeRetrieval; move it away and index again"
        )
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{file}: was written by a newer version of VolumeRetrieval (store version {version}, this one reads up to "
            f"{SCHEMA_VERSION}); upgrade VolumeRetrieval, or index into another folder"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store of an older version up to this one, in one transaction; nothing that is in it is read or changed.

    The caller holds the writer's lock and has checked the version.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_OUTLINES)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def translated_errors(file: Path) -> Iterator[None]:
    """Turns SQLite's errors into the store's, with what to do about them."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # ours, not the disk's: a closed store, a wrong number of parameters
    except sqlite3.Error as error:
        raise _translated(file, getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR), str(error)) from error


def _translated(file: Path, extended_code: int, text: str) -> StoreError:
    code = extended_code & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"{file}: the disk is full; the volume in work was not stored, all volumes finished before are kept. "
            "Free some space and start again: indexing goes on where it stopped"
        )
    misread = ("no such table", "no such column", "Could not decode")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or text.startswith(misread):
        return DamagedStoreError(
            f"{file}: is damaged ({text}); restore it from a backup, or move it away and index again "
            "(everything in it can be rebuilt from the images)"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{file}: other processes have kept it busy for too long; try again when they are done")
    if extended_code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return StoreReadOnlyError(_unfinished_text(file), folder=str(file.parent))
    if code == sqlite3.SQLITE_READONLY:
        text = f"{file}: is open for reading only, or its folder cannot be written ({text})"
        return StoreReadOnlyError(text, folder=str(file.parent))
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"{file}: cannot be opened; is it there, and may this account read it?")
    return StoreError(
        f"{file}: {text}; check the disk and its quota (all volumes finished before are kept)",
        "python -m VolumeRetrievalEngine verify",
    )


def _unfinished_text(file: Path) -> str:
    return (
        f"{file}: was left in the middle of a write, which cannot be undone because the folder cannot be written; "
        "open the store once from an account that may write to it"
    )


def _open(file: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{_uri(file)}?{options}",
        uri=True,
        timeout=_READER_WAITS_S,
        isolation_level=None,  # transactions begin where this package says so
        check_same_thread=False,
    )


def _uri(file: Path) -> str:
    """The file as SQLite wants it; unlike Path.as_uri also right for shares (//server/share) and undecodable names."""
    path = file.absolute().as_posix()
    return ("file://" if path.startswith("/") else "file:///") + quote(path, safe="/:", errors="surrogateescape")


def _configured(connection: sqlite3.Connection, writable: bool) -> sqlite3.Connection:
    try:
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        if writable:
            connection.execute("PRAGMA journal_mode=TRUNCATE")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA busy_timeout={int(_WRITER_WAITS_S * 1000)}")
            # A volume is written to the file when it is complete: until then readers are not in the way.
            connection.execute("PRAGMA cache_spill=OFF")
            # What is removed is overwritten: thumbnails and descriptions are patient data.
            connection.execute("PRAGMA secure_delete=ON")
        else:
            connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # the first real access to the file
    except BaseException:
        connection.close()
        raise
    return connection


def _can_write(file: Path) -> bool:
    """Whether this process may write next to the file: by trying, because permissions do not tell everything."""
    probe = file.with_name(f".{file.name}.{os.getpid()}.probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return os.access(file, os.W_OK)


def _has_unfinished_write(file: Path) -> bool:
    try:
        return file.with_name(file.name + "-journal").stat().st_size > 0
    except OSError:
        return False
