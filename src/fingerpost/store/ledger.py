"""Reading the ledger: every row is checked against its digest before anybody sees it."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError, FingerprintError
from fingerpost.records import Chunk, Document, Pair
from fingerpost.store import codec
from fingerpost.store.digest import CONTENT_BYTES, Field, digest
from fingerpost.store.disk import corrupt, named_errors, no_index
from fingerpost.store.filters import STANDING
from fingerpost.store.schema import FORMAT, OLDEST, PAGE_BITS, PAGE_CHARS, connect, described, expected

DOCUMENT = (
    "key, doc_id, content, title, metadata, labels, media_type, flags, length, first_chunk, chunk_count, "
    "valid_from, valid_to, outline, record"
)
CHUNK = 'key, chunk_id, doc, ordinal, start, "end", title, heading, passage, record'
Row = tuple[Any, ...]
HEAD = "seq, next_document, next_chunk, documents, chunks, labelled, chain, record"
_CACHED_PAGES = 512
_CACHED_OWNERS = 4_096
_SLICE = 500


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of the log and the counts that go with it."""

    seq: int
    next_document: int
    next_chunk: int
    documents: int
    chunks: int
    labelled: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document without its text; ``labels`` None means that it carries none."""

    key: int
    doc_id: str
    content: bytes
    title: str
    metadata: str
    labels: str | None
    media_type: str
    flags: str
    length: int
    first_chunk: int
    chunk_count: int
    valid_from: int
    valid_to: int | None
    outline: bytes

    def record(self) -> bytes:
        """The digest over the whole row."""
        return digest(*(getattr(self, name) for name in self.__slots__))

    @property
    def extent(self) -> tuple[int, int, int]:
        """``(key, first chunk, chunk count)``: what the log says of a version."""
        return self.key, self.first_chunk, self.chunk_count


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction: the versions (rows of key, first chunk, chunk count) that came and went."""

    seq: int
    came: NDArray[np.int64]
    went: NDArray[np.int64]
    chain: bytes


class Ledger:
    """The reading side; one connection, used by one thread at a time."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.lock = RLock()
        self._pages: OrderedDict[int, str] = OrderedDict()
        self._owners: dict[int, Version] = {}
        self._verified_seq, self._verified_key = -1, 0
        if not path.is_file():
            raise no_index(path.parent)
        with named_errors(path):
            self.connection = connect(path, write=write)
        self._check_format()

    def close(self) -> None:
        """Let go of the file."""
        with self.lock:
            self.connection.close()

    @property
    def written(self) -> int:
        """How many rows this connection has written. A writer, which is alone, knows the ledger as long as
        this stays the same.
        """
        with named_errors(self.path):
            return self.connection.total_changes

    def rows(self, sql: str, values: Sequence[Field] = ()) -> list[Row]:
        """All rows of a question, its values bound, never written into the text."""
        with self.lock, named_errors(self.path):
            found: list[Row] = self.connection.execute(sql, values).fetchall()
            return found

    def head(self) -> Head:
        """The newest state. Raises CorruptError when the row is damaged."""
        rows = self.rows(f"SELECT {HEAD} FROM head")
        if len(rows) != 1 or digest(*rows[0][:-1]) != rows[0][-1]:
            raise corrupt("ledger.db head", "its digest does not match")
        return Head(*rows[0][:-1])

    def meta(self) -> dict[str, str]:
        """What was set at creation: fingerprint, dim, policy, settings."""
        found: dict[str, str] = {}
        for name, value, record in self.rows("SELECT name, value, record FROM meta"):
            if digest(name, value) != record:
                raise corrupt(f"ledger.db meta {name!r}", "its digest does not match")
            found[str(name)] = str(value)
        return found

    def changes(self, after: int, chain: bytes, until: Head) -> Iterator[Change]:
        """The transactions after ``after`` up to ``until``, each checked to follow from the one before."""
        at = after
        sql = "SELECT seq, came, went, chain FROM log WHERE seq > ? AND seq <= ? ORDER BY seq"
        for seq, came, went, link in self.rows(sql, (after, until.seq)):
            if seq != at + 1:
                raise corrupt(f"ledger.db log {at + 1}", "it is missing")
            if link != digest(chain, seq, came, went, size=CONTENT_BYTES):
                raise corrupt(f"ledger.db log {seq}", "its chain is broken")
            at, chain = at + 1, link
            yield Change(at, extents(came), extents(went), chain)
        if at != until.seq or chain != until.chain:
            raise corrupt("ledger.db log", f"ends at {at} instead of {until.seq}")

    def owners(self, keys: Iterable[int]) -> dict[int, Version]:
        """Versions by key as they were when first read here: good for what never changes about them (not
        for ``labels`` and ``valid_to``).
        """
        wanted = set(keys)
        lacking = [key for key in wanted if key not in self._owners]
        if len(self._owners) + len(lacking) > _CACHED_OWNERS:
            self._owners.clear()
            lacking = list(wanted)
        self._owners.update(self.versions(lacking))
        return {key: self._owners[key] for key in wanted}

    def versions(self, keys: Iterable[int]) -> dict[int, Version]:
        """Document versions by key. Raises CorruptError for one that should be there and is not whole."""
        found = {}
        wanted = list(dict.fromkeys(int(key) for key in keys))
        for part in _sliced(wanted):
            marks = ",".join("?" * len(part))
            for row in self.rows(f"SELECT {DOCUMENT} FROM documents WHERE key IN ({marks})", part):
                version = checked_version(row)
                found[version.key] = version
        for key in wanted:
            if key not in found:
                raise corrupt(f"ledger.db document {key}", "it is missing")
        return found

    def live(self, doc_id: str) -> Version | None:
        """The version of ``doc_id`` that stands, or None."""
        sql = f"SELECT {DOCUMENT} FROM documents WHERE doc_id = ? AND valid_to IS NULL"
        rows = self.rows(sql, (doc_id,))
        if not rows:
            return None
        version = checked_version(rows[0])
        if version.doc_id != doc_id or version.valid_to is not None:
            raise corrupt("ledger.db live", f"it leads to another version than the one of {doc_id!r}")
        return version

    def replaced(self, after: int, until: int) -> dict[int, int | None]:
        """Versions that ended in ``after < seq <= until``, oldest first: the version that took the place of
        each in the same transaction, or None where the document was deleted.
        """
        sql = f"SELECT {DOCUMENT} FROM documents WHERE valid_to > ? ORDER BY valid_to, key"
        ended = [checked_version(row) for row in self.rows(sql, (after,))]  # a successor may have ended later
        began = {(version.doc_id, version.valid_from): version.key for version in ended}
        found = {}
        for version in ended:
            if (version.valid_to or 0) > until:
                break
            newer = self.live(version.doc_id)
            if newer is not None:
                began[newer.doc_id, newer.valid_from] = newer.key
            found[version.key] = began.get((version.doc_id, version.valid_to or 0))
        return found

    def verify_documents(self, *, again: bool = False) -> None:
        """Check the row of every document that came since the last call (all of them ``again``),
        so that filters and look-ups through SQLite's own indexes rest on whole rows.
        """
        head = self.head()
        if again:
            self._verified_seq, self._verified_key = -1, 0
        if self._verified_seq == head.seq:
            return
        sql = f"SELECT {DOCUMENT} FROM documents NOT INDEXED WHERE key > ? ORDER BY key"
        with self.lock, named_errors(self.path):
            for row in self.connection.execute(sql, (self._verified_key,)):
                self._verified_key = checked_version(row).key
        live = "SELECT count(*), count(labels) FROM documents {} WHERE valid_to IS NULL"
        counts = [self.rows(live.format(how))[0] for how in ("NOT INDEXED", "INDEXED BY live")]
        if counts != [(head.documents, head.labelled)] * 2 and self.head() == head:
            raise corrupt("ledger.db documents", f"{counts} of {head.documents} documents stand")
        self._verified_seq = head.seq

    def chunks(self, keys: Sequence[int]) -> list[Chunk]:
        """Chunks by key, in the order asked for, with their text."""
        rows: dict[int, Row] = {}
        for part in _sliced(list(keys)):
            marks = ",".join("?" * len(part))
            for row in self.rows(f"SELECT {CHUNK} FROM chunks WHERE key IN ({marks})", part):
                rows[row[0]] = _checked_chunk(row)
        for key in keys:
            if key not in rows:
                raise corrupt(f"ledger.db chunk {key}", "it is missing")
        with self.lock:
            owners = self.owners(int(row[2]) for row in rows.values())
            spans = [(owners[rows[key][2]], rows[key][4], rows[key][5]) for key in keys]
            self._load(page for span in spans for page in _pages_of(*span))
            return [self._chunk(rows[key], owners[rows[key][2]]) for key in keys]

    def _chunk(self, row: Row, owner: Version) -> Chunk:
        key, chunk_id, doc, ordinal, start, end, title, heading = row[:8]
        if not owner.first_chunk <= key < owner.first_chunk + owner.chunk_count:
            raise corrupt(f"ledger.db chunk {key}", f"it is not one of document {doc}")
        text = self.text(owner, start, end)
        path, about, facts = codec.read_place(heading)
        shown = owner.title if title is None else title
        return Chunk(chunk_id, owner.doc_id, ordinal, start, end, text, shown, path, about, facts)

    def text(self, version: Version, start: int, end: int) -> str:
        """Characters ``start:end`` of a version's text; only the pages that hold them are inflated."""
        end = min(end, version.length)
        if start >= end:
            return ""
        numbers = _pages_of(version, start, end)
        with self.lock:
            self._load(numbers)
            joined = "".join(self._pages[number] for number in numbers)
            while len(self._pages) > _CACHED_PAGES:
                self._pages.popitem(last=False)
        before = start // PAGE_CHARS * PAGE_CHARS
        if len(joined) < end - before:
            raise corrupt(f"ledger.db text of {version.doc_id}", "it is shorter than its record says")
        return joined[start - before : end - before]

    def _load(self, numbers: Iterable[int]) -> None:
        """Bring pages into memory, newest last."""
        lacking = set()
        for number in numbers:
            if number in self._pages:
                self._pages.move_to_end(number)
            else:
                lacking.add(number)
        for part in _sliced(sorted(lacking)):
            marks = ",".join("?" * len(part))
            for number, body, record in self.rows(f"SELECT * FROM pages WHERE id IN ({marks})", part):
                if digest(number, body) != record:
                    raise corrupt(f"ledger.db page {number}", "its digest does not match")
                self._pages[number] = zlib.decompress(body).decode()
        for number in lacking:
            if number not in self._pages:
                raise corrupt(f"ledger.db page {number}", "it is missing")

    def passages(self, version: Version) -> list[tuple[int, bytes]]:
        """``(chunk key, passage digest)`` of every chunk of a version."""
        sql = f"SELECT {CHUNK} FROM chunks WHERE key >= ? AND key < ? ORDER BY key"
        first, count = version.first_chunk, version.chunk_count
        rows = [_checked_chunk(row) for row in self.rows(sql, (first, first + count))]
        if len(rows) != count:
            raise corrupt(f"ledger.db chunks of {version.doc_id}", f"{len(rows)} of {count} are there")
        return [(row[0], row[8]) for row in rows]

    def standing(self, doc_id: str, seq: int) -> Version | None:
        """The version of ``doc_id`` that stood at ``seq``. A miss is only believed after every row was
        checked.
        """
        version = self.live(doc_id)
        if version is not None and version.valid_from <= seq:
            return version
        self.verify_documents()
        sql = f"SELECT {DOCUMENT} FROM documents NOT INDEXED WHERE doc_id = ? AND {STANDING}"
        rows = self.rows(sql, (doc_id, seq, seq))
        return checked_version(rows[0]) if rows else None

    def about(self, version: Version) -> Document:
        """A document without its text."""
        sections, points = codec.read_outline(version.outline)
        return Document(
            version.doc_id,
            "",
            version.title,
            json.loads(version.metadata),
            None if version.labels is None else tuple(json.loads(version.labels)),
            version.media_type,
            sections,
            points,
            tuple(json.loads(version.flags)),
        )

    def document(self, version: Version) -> Document:
        """The whole document of a version."""
        return replace(self.about(version), text=self.text(version, 0, version.length))

    def pairs(self) -> Iterator[Pair]:
        """The training pairs, in the order they came."""
        sql = "SELECT id, query, doc_id, chunk_id, weight, origin, record FROM pairs ORDER BY id"
        for row in self.rows(sql):
            if digest(*row[:-1]) != row[-1]:
                raise corrupt(f"ledger.db pair {row[0]}", "its digest does not match")
            query, doc_id, chunk_id, weight, origin = row[1:-1]
            yield Pair(query, doc_id, chunk_id, weight, origin)

    def last_pair(self) -> int:
        """The number of the newest training pair, 0 before the first."""
        found = self.rows("SELECT coalesce(max(id), 0) FROM pairs")[0][0]
        assert isinstance(found, int)
        return found

    def _check_format(self) -> None:
        try:
            version = self.rows("PRAGMA user_version")[0][0]
        except CorruptError:
            self.close()
            raise
        if isinstance(version, int) and version > FORMAT:
            self.close()
            raise FingerprintError(
                "E_FINGERPRINT",
                f"{self.path.parent} has format {version}; this program reads up to {FORMAT}",
                cure="open it with the newer fingerpost that made it",
            )
        if version not in range(OLDEST, FORMAT + 1):
            with named_errors(self.path):
                unfinished = version == 0 and not described(self.connection)
            self.close()
            if unfinished:  # making it was cut off, or it was emptied: MANIFEST tells the two apart
                raise no_index(self.path.parent)
            raise corrupt("ledger.db", f"format {version} is none from {OLDEST} to {FORMAT}")
        with named_errors(self.path):
            whole = described(self.connection) == expected(version)
        if not whole:
            self.close()
            raise corrupt("ledger.db", "the description of its tables is not what was written")


def extents(body: bytes) -> NDArray[np.int64]:
    """Rows of (key, first chunk, chunk count) from a log row's bytes."""
    return np.frombuffer(body, dtype="<i8").reshape(-1, 3)


def checked_version(row: Row) -> Version:
    """A row of ``documents`` (columns ``DOCUMENT``) as a record, its digest checked."""
    if digest(*row[:-1]) != row[-1]:  # what Version.record says, without asking for fourteen fields by name
        raise corrupt(f"ledger.db document {row[0]}", "its digest does not match")
    return Version(*row[:-1])


def _checked_chunk(row: Row) -> Row:
    if digest(*row[:-1]) != row[-1]:
        raise corrupt(f"ledger.db chunk {row[0]}", "its digest does not match")
    return row


def _pages_of(version: Version, start: int, end: int) -> range:
    """The numbers of the pages that hold characters ``start:end``."""
    base = version.key << PAGE_BITS
    return range(base + start // PAGE_CHARS, base + (min(end, version.length) - 1) // PAGE_CHARS + 1)


def _sliced(keys: list[int]) -> Iterator[list[int]]:
    for at in range(0, len(keys), _SLICE):
        yield [int(key) for key in keys[at : at + _SLICE]]
