"""Where the log begins: a checked account of what stood at the seq before its first row.

The log would grow by a row a write for ever. A fold drops the rows that no held generation, no view and no
moment of the past begins at, and moves the checkpoint in the same transaction. What stood there is not kept
a second time: the ledger still has every version that stood then or later, and the checkpoint has their
digest. Checkpoint and log together give everything derived again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fingerpost.store.digest import CONTENT_BYTES, digest
from fingerpost.store.disk import corrupt, named_errors
from fingerpost.store.filters import STANDING
from fingerpost.store.ledger import DOCUMENT, Change, Ledger, Version, checked_version
from fingerpost.store.schema import CHECKPOINT, FORMAT

GENESIS = bytes(CONTENT_BYTES)
"""The chain of a log without rows."""
_COLUMNS = "seq, documents, chunks, extents, chain, record"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What stood at ``seq``: how much, and ``extents``, the sum modulo 2^128 of the digests of each version's
    extent; ``chain`` is the log's link at ``seq``.
    """

    seq: int
    documents: int
    chunks: int
    extents: bytes
    chain: bytes

    def record(self) -> bytes:
        """The digest over the whole row."""
        return digest(*(getattr(self, name) for name in self.__slots__))

    def after(self, changes: Iterable[Change]) -> Checkpoint:
        """The account after these transactions: a sum takes in what came and lets go of what went."""
        seq, chain, total = self.seq, self.chain, _Total(self)
        for change in changes:
            total.add(change.came.tolist(), 1)
            total.add(change.went.tolist(), -1)
            seq, chain = change.seq, change.chain
        return Checkpoint(seq, total.documents, total.chunks, total.extents, chain)


BEGINNING = Checkpoint(0, 0, 0, bytes(CONTENT_BYTES), GENESIS)


class _Total:
    """Running sums over extents."""

    def __init__(self, start: Checkpoint) -> None:
        self.documents, self.chunks = start.documents, start.chunks
        self._sum = int.from_bytes(start.extents)

    def add(self, extents: Iterable[Iterable[int]], sign: int) -> None:
        for key, first, count in extents:
            self.documents += sign
            self.chunks += sign * count
            self._sum += sign * int.from_bytes(digest(key, first, count, size=CONTENT_BYTES))

    @property
    def extents(self) -> bytes:
        return (self._sum % (1 << 8 * CONTENT_BYTES)).to_bytes(CONTENT_BYTES)


def read(ledger: Ledger) -> Checkpoint:
    """Where the log begins; at its first row in a ledger of format 1, which never dropped one."""
    if ledger.rows("PRAGMA user_version")[0][0] < FORMAT:
        return BEGINNING
    rows = ledger.rows(f"SELECT {_COLUMNS} FROM checkpoint")
    if len(rows) != 1 or digest(*rows[0][:-1]) != rows[0][-1]:
        raise corrupt("ledger.db checkpoint", "its digest does not match")
    return Checkpoint(*rows[0][:-1])


def standing(ledger: Ledger, at: Checkpoint) -> list[Version]:
    """The versions that stood at a checkpoint. Raises CorruptError when they are not what it says."""
    sql = f"SELECT {DOCUMENT} FROM documents NOT INDEXED WHERE {STANDING} ORDER BY key"
    found = [checked_version(row) for row in ledger.rows(sql, (at.seq, at.seq))]
    total = _Total(BEGINNING)
    total.add((version.extent for version in found), 1)
    if (total.documents, total.chunks, total.extents) != (at.documents, at.chunks, at.extents):
        why = f"{total.documents} of {total.chunks} chunks are not the {at.documents} of {at.chunks}"
        raise corrupt("ledger.db documents", f"{why} that stood at seq {at.seq}")
    return found


def begun(ledger: Ledger, seq: int, chain: bytes) -> list[Version]:
    """What stood at ``seq``, where a generation begins that holds nothing: the log has to begin there too."""
    with _one_view(ledger):
        here = read(ledger)
        if (here.seq, here.chain) != (seq, chain):
            raise corrupt("MANIFEST", f"it names seq {seq}, but the ledger's log begins after {here.seq}")
        return standing(ledger, here)


def verify(ledger: Ledger) -> None:
    """Check that what stood at the checkpoint is there, that the log follows from it link by link, and that
    together they come to what stands now. Raises CorruptError.
    """
    with _one_view(ledger):
        here = read(ledger)
        standing(ledger, here)
        standing(ledger, here.after(ledger.changes(here.seq, here.chain, ledger.head())))


def moved(ledger: Ledger, seq: int) -> Checkpoint:
    """The checkpoint of a later ``seq``, every link of the log checked on the way. A log that was never
    trimmed is compared with the documents too, before its rows are let go for the first time.
    """
    here = read(ledger)
    changes = ledger.changes(here.seq, here.chain, ledger.head())
    there = here.after(change for change in changes if change.seq <= seq)
    if here == BEGINNING:
        standing(ledger, there)
    return there


def write(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Keep it; part of the transaction that is open. A ledger of format 1 gets its table here."""
    if connection.execute("PRAGMA user_version").fetchone()[0] < FORMAT:
        connection.execute(CHECKPOINT)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    row = [getattr(checkpoint, name) for name in checkpoint.__slots__]
    sql = f"INSERT OR REPLACE INTO checkpoint (one, {_COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (*row, checkpoint.record()))


@contextmanager
def _one_view(ledger: Ledger) -> Iterator[None]:
    """All questions inside are answered from one moment, whatever another process writes."""
    with ledger.lock, named_errors(ledger.path):
        ledger.connection.execute("BEGIN")
        try:
            yield
        finally:
            ledger.connection.execute("ROLLBACK")
