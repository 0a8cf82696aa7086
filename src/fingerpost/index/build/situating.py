"""Situating: a language model says where each chunk stands, before anything is indexed.

Only chunks that are new or changed are asked about: one that stands in the index with the same words under
the same headings keeps its sentence. A document is written as soon as its sentences are there, and those
of the one in hand are kept in ``situated.jsonl`` until then: a run that is interrupted, or that the model
fails, goes on where it stopped. What has no sentence is indexed without, and asked about by the next run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from fingerpost.compiler import chunk as chunking
from fingerpost.compiler import situate
from fingerpost.compiler.situate import Cost
from fingerpost.errors import ConfigError, UsageError
from fingerpost.index.build.asking import Asking
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.models.llm import Llm, load_llm
from fingerpost.records import Chunk, Document
from fingerpost.text.counts import counted

Announce = Callable[[str], None]
Cut = tuple[Document, list[Chunk]]
DRAFT = "situated.jsonl"


def unsaid(_: str) -> None:
    """The announcement of those who do not listen."""


def check(rooms: Rooms) -> None:
    """Raise ConfigError where situating is asked for and cannot be done."""
    if not rooms.settings.llm.url:
        message, cure = "compile.situate needs a language model", "set llm.url, or compile.situate = false"
    elif not rooms.settings.compile.context:
        message = "compile.situate needs compile.context: without it nothing goes before a chunk"
        cure = "set compile.context = true"
    else:
        return
    raise ConfigError("E_CONFIG_KEY", message, cure=cure, detail="compile.situate")


class Situating:
    """One run. ``cost`` says what it will take; ``chunks`` gives a document's chunks their sentences."""

    def __init__(self, rooms: Rooms, llm: Llm, progress: Progress) -> None:
        self._rooms, self._progress = rooms, progress
        self._asking = Asking(llm, rooms.settings.llm)
        self._draft = Draft(rooms.path / DRAFT)
        self.expected = Cost()
        self.kept = self._useless = 0

    def estimate(self, documents: Iterable[Cut]) -> Cost:
        """What the chunks without a sentence take. Raises UsageError E_TOO_BIG beyond the budget."""
        settings = self._rooms.settings
        found = situate.total(
            situate.cost(document, [c for c in self._known(document, chunks) if not c.about], settings)
            for document, chunks in documents
        )
        if found.tokens > settings.compile.situate_budget:
            message = f"{found}: more than compile.situate_budget allows"
            cure = f"raise it to {found.tokens:,}, compile less at a time, or set compile.situate = false"
            raise UsageError("E_TOO_BIG", message, cure=cure)
        self.expected = found
        return found

    def chunks(self, document: Document, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks with their sentences, as far as there are any."""
        known = self._known(document, chunks)
        self.kept += sum(bool(chunk.about) for chunk in known)
        wanted = [at for at, chunk in enumerate(known) if not chunk.about]
        for at, about in zip(wanted, self._all(document, [known[at] for at in wanted]), strict=True):
            known[at] = replace(known[at], about=about or "")
            self._useless += about == ""
            self._progress("situate", self._asking.asked, self.expected.chunks)
        return known

    def written(self) -> None:
        """The documents so far are in the index: their drafts are not needed any more."""
        self._draft.clear()

    def notes(self) -> tuple[str, ...]:
        """What was done, and what is missing."""
        asking = self._asking
        told = [f"situated {counted(asking.asked, 'chunk')}, {self.kept:,} kept their sentence"]
        if self._useless:
            told.append(f"{counted(self._useless, 'chunk')} without a sentence: the reply was of no use")
        if asking.failed:
            why = f"{counted(asking.failed, 'chunk')} without a sentence ({asking.last})"
            told.append(f"{why}: compile or update again to ask for them")
        return tuple(told)

    def _known(self, document: Document, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks with the sentences that the index or the draft holds already."""
        held = {_words(old): old.about for old in self._rooms.store.desk.chunks_of(document.doc_id)}
        return [
            replace(chunk, about=held.get(_words(chunk)) or self._draft.get(_key(document, chunk)))
            for chunk in chunks
        ]

    def _all(self, document: Document, chunks: Sequence[Chunk]) -> Iterator[str | None]:
        """Sentences in the order of the chunks: the first alone, so that the others find it cached."""
        for part in (chunks[:1], chunks[1:]):
            yield from self._asking.side_by_side(lambda chunk: self._one(document, chunk), part)

    def _one(self, document: Document, chunk: Chunk) -> str | None:
        """The sentence, "" where the reply is of no use, None where there is none."""
        settings, rooms = self._rooms.settings, self._rooms
        reply = self._asking.reply(
            situate.messages(document, chunk, settings),
            max_tokens=situate.reply_tokens(settings),
            about=f"a chunk of {document.doc_id} was not situated",
        )
        if reply is None:
            return None
        most = chunking.about_pieces(settings.compile)
        about = situate.sentence(reply, document, settings, most=most, count=rooms.encoder)
        self._draft.put(_key(document, chunk), about)
        return about


class Draft:
    """Sentences of documents that are not in the index yet, a line each, so that none is asked for twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, str] = dict(_lines(path))

    def get(self, key: str) -> str:
        """The sentence kept, or ""."""
        return self._held.get(key, "")

    def put(self, key: str, about: str) -> None:
        """Keep one."""
        line = json.dumps([key, about]) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            out.write(line.encode())

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()
        self._path.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Whole lines only: the last may have been cut off."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            key, about = json.loads(line)
            if isinstance(key, str) and isinstance(about, str):
                yield key, about


@contextmanager
def situating(
    rooms: Rooms, documents: Callable[[], Iterable[Cut]], progress: Progress, announce: Announce
) -> Iterator[Situating | None]:
    """The run that the settings ask for, its cost announced before the first request; None where off.

    ``documents()`` reads the sources once more, to know the cost.
    """
    if not rooms.settings.compile.situate:
        yield None
        return
    check(rooms)
    llm = load_llm(rooms.settings.llm)
    assert llm is not None
    with llm:
        run = Situating(rooms, llm, progress)
        expected = run.estimate(documents())
        if expected.chunks:
            announce(str(expected))
        yield run


def _words(chunk: Chunk) -> tuple[str, tuple[str, ...], str]:
    return chunk.title, chunk.heading, chunk.text


def _key(document: Document, chunk: Chunk) -> str:
    said: Mapping[str, object] = {
        "doc": document.doc_id,
        "text": document.text,
        "at": (chunk.start, chunk.end),
    }
    return blake2b(json.dumps(said).encode("utf-8", "replace"), digest_size=16).hexdigest()
