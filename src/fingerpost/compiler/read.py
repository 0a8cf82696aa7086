"""Reading: files and records become documents, or rejections that say why.

    for item in read.sources(["docs/", "tickets.jsonl"], settings):
        ...

Files are opened here, once, from one descriptor; they are parsed in another process (jail.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from fingerpost.compiler import ids
from fingerpost.compiler.detect import detect
from fingerpost.compiler.formats import MAX_LINE_BYTES
from fingerpost.compiler.pool import Job, Pool, Warm
from fingerpost.compiler.walk import Found, Walk
from fingerpost.config import Settings
from fingerpost.errors import InputError
from fingerpost.records import Document, Rejection, Value

BLOCK_BYTES = 1 << 20
RECORD_FILES = frozenset((".jsonl", ".ndjson"))
LOST = {
    "metadata_dropped": "metadata left out: nested, or too long",
    "replaced_bytes": "a damaged byte became U+FFFD",
}
"""What flags of documents count that was not taken in, in words."""
READ_FROM = "read_from:"
"""Begins the flag of a document that names a ``source`` or ``path`` of its own: the true ones follow."""
NAMED = 5
"""Ids that came again which the notes name."""


class _Origin(NamedTuple):
    found: Found
    modified: str


class Sources(Iterator["Document | Rejection"]):
    """An iterator over documents and rejections.

    ``notes`` says, once exhausted, what was passed over on purpose, how often an id came twice, and what of
    documents could not be kept;
    ``roots`` is what to keep and hand in again, so that single files keep the ids their folders gave them.
    """

    def __init__(self, walk: Walk, settings: Settings, warm: Warm | None = None) -> None:
        self.roots = walk.roots
        self._warm = warm
        self._walk = walk
        self._settings = settings.compile
        self._seen: set[int] = set()
        self._twice = 0
        self._twins: list[str] = []
        self._flagged: dict[str, tuple[int, str]] = {}
        self._origins: list[_Origin] = []
        self._items: Generator[Document | Rejection, None, None] = self._read()

    def __next__(self) -> Document | Rejection:
        return next(self._items)

    def close(self) -> None:
        """End the reading process early."""
        self._items.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Counted remarks, in words."""
        some = ", ".join([*self._twins, *(["…"] if self._twice > len(self._twins) else [])])
        said = f"{self._twice:,} × an id came again ({some}): of documents with one id the last one counts"
        twice = (said,) if self._twice else ()
        lost = (f"{n:,} × {LOST[flag]} (first: {name})" for flag, (n, name) in self._flagged.items())
        return (*self._walk.notes(), *twice, *lost)

    def _read(self) -> Generator[Document | Rejection, None, None]:
        with self._warm.lend() if self._warm else Pool(self._settings) as pool:
            for job, item in pool.run(self._jobs()):
                yield self._finished(item, job)

    def _jobs(self) -> Iterator[Job | Rejection]:
        for found in self._walk:
            if isinstance(found, Rejection):
                yield found
                continue
            try:
                yield from self._open(found)
            except InputError as error:
                yield Rejection(str(found.path), error.code, error.message, error.cure)
            except OSError as error:
                reason = f"{found.doc_id} cannot be read: {error.strerror}"
                yield Rejection(str(found.path), "E_UNREADABLE", reason, "check the file and its permissions")

    def _open(self, found: Found) -> Iterator[Job | Rejection]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(found.path, flags), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(
                    "E_PATH", f"{found.doc_id} is no regular file", cure="name regular files only"
                )
            day = datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat()
            self._origins.append(_Origin(found, day))
            number = len(self._origins) - 1
            if found.path.suffix.lower() in RECORD_FILES:
                yield from record_blocks(file, found.doc_id, number)
            else:
                yield Job(found.doc_id, self._whole(file, found.doc_id), number)

    def _whole(self, file: IO[bytes], name: str) -> bytes:
        limit = self._settings.max_file_mb << 20
        data = bytearray()
        while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
            data += piece
        if len(data) > limit:
            mb = self._settings.max_file_mb
            raise InputError(
                "E_TOO_BIG", f"{name} is larger than {mb} MB", cure="split it, or raise max_file_mb"
            )
        if not data:
            raise InputError("E_EMPTY", f"{name} is empty", cure="fill or remove the file")
        return bytes(data)

    def _finished(self, item: Document | Rejection, job: Job | None) -> Document | Rejection:
        """With its id, its place and its date; a rejection says which file and line it is about."""
        if job is None:
            return item
        found, modified = self._origins[job.origin]
        if isinstance(item, Rejection):
            return replace(item, source=f"{found.path} {item.source}".strip())
        own = item.doc_id
        try:
            doc_id = ids.valid(f"{found.doc_id}{own}" if not own or own.startswith("#") else own)
        except InputError as error:
            if own:
                return Rejection(f"{found.path} {own[:80]!a}", error.code, error.message, error.cure)
            cure = "rename the file: its path is the document's id, 1 to 512 bytes of printable UTF-8"
            return Rejection(str(found.path), error.code, error.message, cure)
        self._count(doc_id, found)
        self._note(doc_id, item.flags)
        place: dict[str, Value] = {"source": found.source, "path": found.doc_id, "modified": modified}
        flags = item.flags
        if item.metadata.keys() & {"source", "path"}:  # the document's own say so hides where it came from
            flags = (*flags, f"{READ_FROM}{found.source.strip('/')}/{found.doc_id}")
        return replace(item, doc_id=doc_id, metadata={**place, **item.metadata}, flags=flags)

    def _count(self, doc_id: str, found: Found) -> None:
        key = hash(doc_id)
        if key in self._seen:
            self._twice += 1
            if len(self._twins) < NAMED:
                self._twins.append(f"{doc_id!r} in {found.path}")
        self._seen.add(key)

    def _note(self, doc_id: str, flags: Iterable[str]) -> None:
        for flag in flags:
            name, colon, count = flag.partition(":")
            if colon and name in LOST:
                before, first = self._flagged.get(name, (0, repr(doc_id)))
                self._flagged[name] = before + int(count), first


def sources(
    paths: Iterable[str | Path],
    settings: Settings,
    *,
    known_roots: Mapping[str, str] | None = None,
    warm: Warm | None = None,
) -> Sources:
    """Documents of folders (recursive), files, glob patterns and lists of paths, in a fixed order.

    A document's id is its path relative to the folder given (see ``walk.roots`` for several folders and for
    ``known_roots``), for records their own id or ``file.jsonl#line``. A folder with ``corpus.jsonl`` and
    ``queries.jsonl`` or ``qrels/`` is a BEIR folder: only its corpus is read.
    ``warm`` is a reading process that stays.
    """
    return Sources(Walk(paths, known_roots), settings, warm)


def record_blocks(file: IO[bytes], name: str, origin: int) -> Iterator[Job | Rejection]:
    """JSON Lines in blocks of whole lines, however large the file; a line beyond the limit is passed over."""
    rest, line, first = b"", 1, True
    while piece := file.read(BLOCK_BYTES):
        if first:
            detect(piece, name)
            first = False
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield Job(name, rest[:cut], origin, "records", line)
            line += rest.count(b"\n", 0, cut)
            rest = rest[cut:]
        elif len(rest) > MAX_LINE_BYTES:
            rest = _to_line_end(file)
            message = f"{name} line {line} has more than {MAX_LINE_BYTES} bytes"
            yield Rejection(f"{name} line {line}", "E_TOO_BIG", message, "split the record")
            line += 1
    if first:
        raise InputError("E_EMPTY", f"{name} is empty", cure="fill or remove the file")
    if rest.strip():
        yield Job(name, rest, origin, "records", line)


def _to_line_end(file: IO[bytes]) -> bytes:
    """Read past the rest of a line; what was read beyond its end."""
    while piece := file.read(BLOCK_BYTES):
        if (at := piece.find(b"\n")) >= 0:
            return piece[at + 1 :]
    return b""
