"""The ledger's tables, and how connections to SQLite are opened.

Every row carries ``record``, a digest over its other columns that is checked on every read. ``log`` is
the outbox: one row a transaction, naming the document versions that came and went, each row's ``chain``
covering the one before it; ``head`` is the newest link and the counts that go with it, ``checkpoint`` the
link before the first row that is kept, and what stood there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from fingerpost.errors import DiskError
from fingerpost.store import ballast

FORMAT = 2
"""Format 1 had no ``checkpoint``: its log was kept from the beginning. It gets one at its next fold."""
OLDEST = 1
PAGE_CHARS = 8_192
PAGE_BITS = 20
_NO_ROOM = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
LOG_BYTES = 1 << 20
"""The write-ahead log is cut back to this size once it was written into its database."""

LEDGER = """
CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, next_document INTEGER NOT NULL,
  next_chunk INTEGER NOT NULL, documents INTEGER NOT NULL, chunks INTEGER NOT NULL, labelled INTEGER NOT NULL,
  chain BLOB NOT NULL, record BLOB NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE log (seq INTEGER PRIMARY KEY, came BLOB NOT NULL, went BLOB NOT NULL, chain BLOB NOT NULL);
CREATE TABLE documents (
  key INTEGER PRIMARY KEY, doc_id TEXT NOT NULL, content BLOB NOT NULL, title TEXT NOT NULL,
  metadata TEXT NOT NULL, labels TEXT, media_type TEXT NOT NULL, flags TEXT NOT NULL, length INTEGER NOT NULL,
  first_chunk INTEGER NOT NULL, chunk_count INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER,
  outline BLOB NOT NULL, record BLOB NOT NULL);
CREATE UNIQUE INDEX live ON documents (doc_id) WHERE valid_to IS NULL;
CREATE INDEX ended ON documents (valid_to) WHERE valid_to IS NOT NULL;
CREATE TABLE pages (id INTEGER PRIMARY KEY, body BLOB NOT NULL, record BLOB NOT NULL);
CREATE TABLE chunks (
  key INTEGER PRIMARY KEY, chunk_id TEXT NOT NULL, doc INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  start INTEGER NOT NULL, "end" INTEGER NOT NULL, title TEXT, heading TEXT NOT NULL, passage BLOB NOT NULL,
  record BLOB NOT NULL);
CREATE TABLE pairs (
  id INTEGER PRIMARY KEY, query TEXT NOT NULL, doc_id TEXT NOT NULL, chunk_id TEXT, weight REAL NOT NULL,
  origin TEXT NOT NULL, record BLOB NOT NULL);
CREATE INDEX pair_documents ON pairs (doc_id);
"""

CHECKPOINT = """
CREATE TABLE checkpoint (
  one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, documents INTEGER NOT NULL,
  chunks INTEGER NOT NULL, extents BLOB NOT NULL, chain BLOB NOT NULL, record BLOB NOT NULL);
"""

FRESH = """
CREATE TABLE IF NOT EXISTS fresh (
  key INTEGER PRIMARY KEY, vector BLOB NOT NULL, tokens BLOB, record BLOB NOT NULL);
"""


def connect(path: Path, *, write: bool, synchronous: str = "FULL") -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are begun and ended by name.

    A reader may write nothing, but where it can it opens the file so that the last one to leave tidies the
    write-ahead log away. On a read-only file system it joins the log that a writer left or keeps there; where
    there is none, the file is immutable. Where the disk has no room for what SQLite keeps beside an open
    file, a little of the index's reserve makes some.
    """
    uri = f"{path.absolute().as_uri()}?mode={_mode(path, write=write)}"
    try:
        return _opened(uri, write=write, synchronous=synchronous)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NO_ROOM or not ballast.lend(path.parent):
            raise
    return _opened(uri, write=write, synchronous=synchronous)


def _opened(uri: str, *, write: bool, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        _set_up(connection, write=write, synchronous=synchronous)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, *, write: bool, synchronous: str) -> None:
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    else:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA schema_version").fetchone()  # what it takes to read shows now


def shrink(connection: sqlite3.Connection) -> None:
    """Write the log into the database and give its space back, as far as that can be done now."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def described(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The tables and indexes as they were made. A damaged description makes SQLite read other columns."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
    return [(str(name), str(sql)) for name, sql in rows]


@cache
def expected(version: int) -> list[tuple[str, str]]:
    """What ``described`` says of a whole ledger of a format."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(LEDGER + (CHECKPOINT if version >= FORMAT else ""))
        return described(connection)


def _mode(path: Path, *, write: bool) -> str:
    if write:
        return "rwc"
    if not os.access(path.parent, os.W_OK):
        return "ro" if _logged(path) else "ro&immutable=1"
    return "rw" if os.access(path, os.W_OK) else "ro"


def _logged(path: Path) -> bool:
    """Whether there is a write-ahead log that can be read where nothing can be written. Raises DiskError for
    one without the file that SQLite finds its way by: what it holds would be passed over.
    """
    log, index = path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
    if not log.exists():
        return False
    if not index.exists() and log.stat().st_size:
        raise DiskError(
            "E_DISK",
            f"{log} holds writes that cannot be read where nothing can be written",
            cure="open the index once where it can be written, or copy its folder to such a place",
        )
    return index.exists()
