"""Writing the ledger: each call is one transaction, on disk before it is acknowledged.

A transaction moves ``head`` by one seq and adds one link to the log. Nothing here reads a clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fingerpost.records import WRITTEN, Chunk, Document, Pair
from fingerpost.store import access, checkpoint, codec
from fingerpost.store.checkpoint import BEGINNING, GENESIS
from fingerpost.store.digest import CONTENT_BYTES, Field, digest
from fingerpost.store.disk import corrupt, named_errors
from fingerpost.store.ledger import Head, Ledger, Version
from fingerpost.store.lock import WriterLock
from fingerpost.store.points import Points
from fingerpost.store.schema import CHECKPOINT, FORMAT, LEDGER, PAGE_BITS, connect, described, shrink

EMPTY = Head(0, 1, 1, 0, 0, 0, GENESIS)
Named = Iterable[tuple[str, str]] | None
"""Training pairs by query and doc_id; None for all of them."""
_DOCUMENT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CHUNK = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def create_ledger(path: Path, meta: dict[str, str]) -> None:
    """Make an empty ledger. ``meta`` is what every later opening is compared with."""
    with named_errors(path):
        connection = connect(path, write=True)
        try:
            connection.executescript(f"BEGIN; {LEDGER}{CHECKPOINT}")
            rows = [(name, value, digest(name, value)) for name, value in meta.items()]
            connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)
            write_head(connection, EMPTY)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            checkpoint.write(connection, BEGINNING)
            connection.execute("COMMIT")
        finally:
            connection.close()


def unfinished(path: Path) -> bool:
    """Whether making this ledger was cut off: it is made in one transaction, so it has no table at all."""
    with named_errors(path), closing(connect(path, write=True)) as connection:
        return not described(connection)


def write_head(connection: sqlite3.Connection, head: Head) -> None:
    """Replace the head row."""
    row = [getattr(head, name) for name in head.__slots__]
    connection.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest(*row)))


@dataclass(slots=True)
class Batch:
    """What one transaction has done so far."""

    head: Head
    came: list[tuple[int, int, int]] = field(default_factory=list)
    went: list[tuple[int, int, int]] = field(default_factory=list)
    touched: bool = False
    labelled: int = 0
    bore: bool = False

    @property
    def seq(self) -> int:
        """The seq this transaction will have."""
        return self.head.seq + 1

    def take(self, chunk_count: int) -> tuple[int, int]:
        """A fresh document key and a fresh run of chunk keys; none is ever given twice."""
        key, first = self.head.next_document, self.head.next_chunk
        self.head = replace(self.head, next_document=key + 1, next_chunk=first + chunk_count)
        return key, first

    def link(self) -> tuple[Head, bytes, bytes]:
        """The head after this transaction, and the bytes of its log row."""
        came, went = (np.array(rows, dtype="<i8").tobytes() for rows in (self.came, self.went))
        return (
            replace(
                self.head,
                seq=self.seq,
                documents=self.head.documents + len(self.came) - len(self.went),
                chunks=self.head.chunks + sum(r[2] for r in self.came) - sum(r[2] for r in self.went),
                labelled=self.head.labelled + self.labelled,
                chain=digest(self.head.chain, self.seq, came, went, size=CONTENT_BYTES),
            ),
            came,
            went,
        )


class Writer:
    """The writing side of a ledger that was opened for writing."""

    def __init__(self, ledger: Ledger, points: Points, lock: WriterLock) -> None:
        self.ledger, self.points, self.lock = ledger, points, lock
        self.connection = ledger.connection

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Begin, do, commit; on any error nothing has happened."""
        with self.ledger.lock, named_errors(self.ledger.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.points.reach("ledger.written")
                self.connection.execute("COMMIT")
                self.points.reach("ledger.committed")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def transaction(self) -> Iterator[Batch]:
        """One link of the log: what the block adds to the batch is linked and committed as a whole."""
        with self.atomic():
            batch = Batch(self.ledger.head())
            yield batch
            if batch.came or batch.went or batch.touched:
                if batch.bore or batch.head.labelled:
                    access.mark(self.connection, batch.seq)
                head, came, went = batch.link()
                row = (head.seq, came, went, head.chain)
                self.connection.execute("INSERT INTO log VALUES (?, ?, ?, ?)", row)
                write_head(self.connection, head)

    def add(
        self,
        batch: Batch,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        content: bytes,
        labels: str | None,
        passages: Sequence[bytes],
    ) -> Version:
        """Write a version with its pages and chunks; ``passages`` are the digests of what is indexed."""
        key, first = batch.take(len(chunks))
        version = Version(
            key,
            document.doc_id,
            content,
            document.title,
            codec.dump(dict(document.metadata)),
            labels,
            document.media_type,
            codec.dump(list(document.flags)),
            len(document.text),
            first,
            len(chunks),
            batch.seq,
            None,
            codec.outline(document),
        )
        self._insert(version)
        pages = [((key << PAGE_BITS) + at, body) for at, body in enumerate(codec.pages(document.text))]
        rows = [(*page, digest(*page)) for page in pages]
        self.connection.executemany("INSERT INTO pages VALUES (?, ?, ?)", rows)
        cut = [
            _chunk_row(first + at, key, chunk, document.title, passages[at])
            for at, chunk in enumerate(chunks)
        ]
        self.connection.executemany(_CHUNK, cut)
        batch.came.append(version.extent)
        batch.labelled += labels is not None
        batch.bore |= labels is not None
        return version

    def end(self, batch: Batch, version: Version) -> None:
        """A version stands no longer."""
        self._update(replace(version, valid_to=batch.seq))
        batch.went.append(version.extent)
        batch.labelled -= version.labels is not None

    def relabel(self, batch: Batch, version: Version, labels: str | None) -> None:
        """Change who may read a version; its text and chunks stay."""
        self._update(replace(version, labels=labels))
        batch.touched = True
        batch.labelled += (labels is not None) - (version.labels is not None)
        batch.bore |= labels is not None

    def drop_pairs(self, doc_ids: Iterable[str], *, origins: Sequence[str] = ()) -> None:
        """Forget training pairs of these documents, of all origins or of the ones named; part of the
        transaction that is open.
        """
        marks = f" AND origin IN ({','.join('?' * len(origins))})" if origins else ""
        rows = [(doc_id, *origins) for doc_id in doc_ids]
        self.connection.executemany(f"DELETE FROM pairs WHERE doc_id = ?{marks}", rows)

    def drop_written(self, doc_id: str) -> None:
        """Forget what a language model wrote about a text that is replaced; part of the transaction that is
        open.
        """
        sql = "DELETE FROM pairs WHERE doc_id = ? AND substr(origin, 1, ?) = ?"
        self.connection.execute(sql, (doc_id, len(WRITTEN), WRITTEN))

    def add_pairs(self, pairs: Iterable[Pair], *, instead_of: Sequence[str] = (), after: int = 0) -> int:
        """Keep training pairs, a pair already there not twice; pairs of the same documents whose origin is
        in ``instead_of`` go. Their numbers are beyond ``after``, also where the newest pairs were deleted
        since. Returns how many are new.
        """
        with self.atomic():
            return self.keep_pairs(list(pairs), instead_of=instead_of, after=after)

    def keep_pairs(self, pairs: Sequence[Pair], *, instead_of: Sequence[str], after: int = 0) -> int:
        """The same as part of the transaction that is open."""
        if instead_of:
            self.drop_pairs({pair.doc_id for pair in pairs}, origins=instead_of)
        before = last = max(self.ledger.last_pair(), after)
        for pair in pairs:
            last += self._insert_pair(pair, last + 1)
        return last - before

    def forget_pairs(self, after: int, origins: Sequence[str], named: Named = None) -> int:
        """Forget training pairs of these origins that came after pair number ``after``, all of them or those
        of the (query, doc_id) ``named``; returns how many.
        """
        sql = f"DELETE FROM pairs WHERE id > ? AND origin IN ({','.join('?' * len(origins))})"
        with self.atomic():
            if named is None:
                return int(self.connection.execute(sql, (after, *origins)).rowcount)
            rows = ((after, *origins, *each) for each in named)
            gone = self.connection.executemany(f"{sql} AND query = ? AND doc_id = ?", rows)
            return max(0, int(gone.rowcount))  # -1 where none was named

    def _insert_pair(self, pair: Pair, number: int) -> bool:
        row: tuple[Field, ...] = (pair.query, pair.doc_id, pair.chunk_id, float(pair.weight), pair.origin)
        same = "doc_id = ?2 AND query = ?1 AND chunk_id IS ?3 AND weight = ?4 AND origin = ?5"
        if self.connection.execute(f"SELECT 1 FROM pairs WHERE {same}", row).fetchone():
            return False
        values = (number, *row)
        self.connection.execute("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, digest(*values)))
        return True

    def purge(self, until: int) -> None:
        """Remove, in one transaction, the log up to seq ``until`` and the versions that ended by then, text
        and all. Raises CorruptError, and removes nothing, where the log is not whole.
        """
        sql = "SELECT key FROM documents INDEXED BY ended WHERE valid_to <= ?"
        with self.atomic():
            self._trim(until)
            gone = [int(row[0]) for row in self.ledger.rows(sql, (until,))]
            for version in self.ledger.versions(gone).values():
                if version.valid_to is None or version.valid_to > until:
                    raise corrupt("ledger.db ended", f"it names {version.doc_id!r}, which stands")
                self._forget(*version.extent)

    def _trim(self, until: int) -> None:
        """Let the log begin after ``until``."""
        if until > checkpoint.read(self.ledger).seq:
            there = checkpoint.moved(self.ledger, until)
            self.connection.execute("DELETE FROM log WHERE seq <= ?", (until,))
            self.points.reach("ledger.trimmed")
            checkpoint.write(self.connection, there)

    def give_back(self) -> None:
        """Give the room of removed versions back to the disk. That rewrites the ledger, which a full disk may
        prevent (DiskError); then it is as it was.
        """
        with self.ledger.lock, named_errors(self.ledger.path):
            self.connection.execute("VACUUM")
            shrink(self.connection)

    def _forget(self, key: int, first: int, count: int) -> None:
        low, high = key << PAGE_BITS, (key + 1) << PAGE_BITS
        self.connection.execute("DELETE FROM pages WHERE id >= ? AND id < ?", (low, high))
        self.connection.execute("DELETE FROM chunks WHERE key >= ? AND key < ?", (first, first + count))
        self.connection.execute("DELETE FROM documents WHERE key = ?", (key,))

    def _insert(self, version: Version) -> None:
        row = [getattr(version, name) for name in version.__slots__]
        self.connection.execute(_DOCUMENT, (*row, version.record()))

    def _update(self, version: Version) -> None:
        changed = (version.labels, version.valid_to, version.record(), version.key)
        sql = "UPDATE documents SET labels = ?, valid_to = ?, record = ? WHERE key = ?"
        self.connection.execute(sql, changed)


def _chunk_row(key: int, doc: int, chunk: Chunk, title: str, passage: bytes) -> tuple[Field, ...]:
    shown = None if chunk.title == title else chunk.title
    place = codec.place(chunk)
    row = (key, chunk.chunk_id, doc, chunk.ordinal, chunk.start, chunk.end, shown, place, passage)
    return (*row, digest(*row))
