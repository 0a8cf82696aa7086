"""``tail-<generation>.db``: vectors and token codes of chunks that no generation holds yet.

Derived: whatever is absent or damaged here is reported as missing and encoded again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError, StoreError
from fingerpost.store.digest import digest
from fingerpost.store.disk import named_errors
from fingerpost.store.schema import FRESH, connect

log = logging.getLogger(__name__)
_SLICE = 500
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One chunk's vector (float16 [d]) and, with late interaction, its token codes."""

    vector: NDArray[np.float16]
    tokens: bytes | None


class Fresh:
    """The vectors of the tail; an unreadable file counts as an empty one and is made anew by the writer."""

    def __init__(self, path: Path, *, dim: int, write: bool) -> None:
        self.path, self._dim, self._write = path, dim, write
        self._lock = RLock()
        self._whole: set[int] = set()
        self._absent: set[int] = set()
        self._sure = 0
        """Standing chunks with a lesser key are known to be whole."""
        self._puts = 0
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection | None:
        if not self._write and not self.path.is_file():
            return None
        try:
            with named_errors(self.path):
                return self._connect()
        except StoreError as error:
            if self._write and not isinstance(error, CorruptError):
                raise  # the disk is full or failing: that is no reason to throw vectors away
            log.warning("%s: its vectors count as missing", error.message)
            if not self._write:
                return None
        self.remove()
        with named_errors(self.path):
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path, write=self._write, synchronous="NORMAL")
        try:
            if self._write:
                connection.executescript(FRESH)
            connection.execute("SELECT count(*) FROM fresh").fetchone()
        except _DAMAGED:
            connection.close()
            raise
        return connection

    def put(self, keys: Sequence[int], rows: Iterable[Encoded]) -> None:
        """Keep vectors and token codes for chunk keys, in one transaction."""
        pairs = list(zip(keys, rows, strict=True))
        bodies = [(int(key), row.vector.astype("<f2").tobytes(), row.tokens) for key, row in pairs]
        connection = self._writable()
        with self._lock, named_errors(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                values = [(*body, digest(*body)) for body in bodies]
                connection.executemany("INSERT OR REPLACE INTO fresh VALUES (?, ?, ?, ?)", values)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._puts += 1
            self._whole.update(body[0] for body in bodies)
            self._absent.difference_update(body[0] for body in bodies)

    def get(self, keys: Sequence[int]) -> dict[int, Encoded]:
        """What is there and whole, by key."""
        found: dict[int, Encoded] = {}
        for at in range(0, len(keys), _SLICE):
            part = [int(key) for key in keys[at : at + _SLICE]]
            marks = ",".join("?" * len(part))
            for key, vector, tokens, record in self._rows(
                f"SELECT key, vector, tokens, record FROM fresh WHERE key IN ({marks})", part
            ):
                if digest(key, vector, tokens) == record and len(vector) == 2 * self._dim:
                    found[key] = Encoded(np.frombuffer(vector, dtype="<f2"), tokens)
        self._whole.update(found)
        return found

    def lacking(self, standing: NDArray[np.int64], *, past: bool = False) -> list[int]:
        """Those of the standing chunks' keys, ascending, that have no whole vector here. Costs what came
        since all had one: a key is given once, and what is whole stays so. Not so in the ``past``, in which
        chunks stood that ended before they had one: there all are looked at.
        """
        keys = standing[0 if past else int(np.searchsorted(standing, self._sure)) :].tolist()
        unknown = [key for key in keys if key not in self._whole]
        asked = [key for key in unknown if key not in self._absent]
        self.get(asked)
        if self._write:  # nobody else can add one
            self._absent.update(key for key in asked if key not in self._whole)
        found = [key for key in unknown if key not in self._whole]
        if not past:
            self._sure = found[0] if found else keys[-1] + 1 if keys else self._sure
        return found

    def version(self) -> int:
        """A number that changes when this or another process has put something."""
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            if self._connection is None:
                return -1
            try:
                seen: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            except _DAMAGED:
                return -1
            return seen * 1_000_003 + self._puts

    def _rows(self, sql: str, values: Sequence[int]) -> list[tuple[int, bytes, bytes | None, bytes]]:
        if self._connection is None:
            self._connection = self._open()
        if self._connection is None:
            return []
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except _DAMAGED as error:
            log.warning("%s: %s; these vectors count as missing", self.path.name, error)
            return []

    def _writable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("opened for reading")
        return self._connection

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def remove(self) -> None:
        """Delete the file with its log."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
