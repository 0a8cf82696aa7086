"""Chunks: pieces of a document's own text, cut where its structure is.

First at sections (headings, symbols, pages), then at paragraphs, sentences, words; pieces of a section that
is too long are of about equal size, sections that are too short join their neighbours under the heading they
share. No chunk exceeds ``chunk_tokens`` word pieces together with its context and the model's two marks.
``document.text[start:end]`` is the chunk, and all but white space is in some chunk. Time is linear.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

from fingerpost.compiler.facts import facts
from fingerpost.compiler.pieces import balanced
from fingerpost.compiler.tokens import Counter, TokenOffsets, Words
from fingerpost.config import CompileSettings, Settings
from fingerpost.records import Chunk, Document, Section

MARKS = 2  # [CLS] and [SEP]
MAX_CONTEXT = 64  # word pieces of title and headings before a chunk
Path = tuple[str, ...]


class Part(NamedTuple):
    """A stretch of text under one heading path."""

    start: int
    end: int
    path: Path


def split(
    document: Document, *, count: TokenOffsets | None = None, settings: Settings | None = None
) -> list[Chunk]:
    """The chunks of a document, in reading order. ``count`` is the encoder; without one, words are counted.

    A ``chunk_id`` comes from doc_id, heading path and ordinal under that path: edits elsewhere leave it.

    >>> [chunk.text for chunk in split(Document("d", "One two.\\n\\nThree."))]
    ['One two.\\n\\nThree.']
    """
    chosen = settings or Settings()
    options = chosen.compile
    counter = count or Words()
    text = document.text
    tokens = Counter(text, counter)
    told = facts(document, counter, chosen)
    labels = _Labels(document.title, counter, options, room=len(counter.offsets(told)) if told else 0)
    spans: list[Part] = []
    for part in _merged(_parts(document), tokens, options, labels):
        limit = _room(options) - labels.size(part.path)
        lines = document.media_type.startswith("text/x-") and document.media_type != "text/x-rst"
        spans += [
            Part(start, end, part.path)
            for start, end in balanced(text, part.start, part.end, tokens=tokens, limit=limit, lines=lines)
        ]
    return [replace(chunk, facts=told) for chunk in _named(document, spans, labels)]


def about_pieces(options: CompileSettings) -> int:
    """Word pieces kept free for the sentence of a language model; 0 where none is asked."""
    return min(options.situate_tokens, options.chunk_tokens // 4) if options.situate else 0


def _room(options: CompileSettings) -> int:
    """Word pieces for title, headings and text."""
    return options.chunk_tokens - MARKS - about_pieces(options)


class _Labels:
    """Titles and headings as they are put before chunks: bounded, and counted once a path."""

    def __init__(self, title: str, counter: TokenOffsets, options: CompileSettings, *, room: int = 0) -> None:
        """``room`` is what the facts take beside them, in word pieces."""
        self._room = room
        self._title = title
        self._counter = counter
        self._bound = min(MAX_CONTEXT, options.chunk_tokens // 4) if options.context else 0
        self._known: dict[Path, tuple[str, Path, int]] = {}

    def size(self, path: Path) -> int:
        """Word pieces of what stands before the text."""
        return self.label(path)[2] + self._room

    def label(self, path: Path) -> tuple[str, Path, int]:
        """Title and headings, shortened where they are too long, and their word pieces."""
        if path not in self._known:
            self._known[path] = self._shortened(path)
        return self._known[path]

    def _shortened(self, path: Path) -> tuple[str, Path, int]:
        if self._bound == 0:
            return "", (), 0
        title, headings = self._title, path
        size = self._count(title, headings)
        if size > self._bound:
            title = self._cut(title, self._bound // 2)
            size = self._count(title, headings)
        while headings and size > self._bound:
            kept = headings[1:] if len(headings) > 1 else (self._cut(headings[0], self._bound // 2 - 2),)
            headings = kept if kept != headings else ()
            size = self._count(title, headings)
        return title, headings, size

    def _count(self, title: str, headings: Path) -> int:
        line = Chunk("", "", 0, 0, 0, "", title=title, heading=headings).context
        return len(self._counter.offsets(line)) if line else 0

    def _cut(self, words: str, most: int) -> str:
        """The first word pieces, and not many more characters than that."""
        words = words[: 8 * max(most, 1)]
        found = self._counter.offsets(words)
        return words if len(found) <= most else words[: int(found[most][0])].rstrip()


def _parts(document: Document) -> list[Part]:
    """The text cut at every section's start and end, each stretch with the titles that enclose it."""
    text = document.text
    sections = sorted(
        (s for s in document.sections if s.kind != "link"), key=lambda s: (s.start, -s.end, s.level)
    )
    parts: list[Part] = []
    stack: list[Section] = []
    at = 0
    for section in sections:
        start = min(max(section.start, at), len(text))
        at = _close(parts, stack, at, start)
        _add(parts, at, start, stack)
        stack.append(section)
        at = start
    at = _close(parts, stack, at, len(text))
    _add(parts, at, len(text), stack)
    return [part for part in parts if text[part.start : part.end].strip()]


def _close(parts: list[Part], stack: list[Section], at: int, until: int) -> int:
    """End the open sections that end before ``until``, each with the stretch it still holds."""
    while stack and stack[-1].end <= until:
        end = max(stack[-1].end, at)
        _add(parts, at, end, stack)
        at = end
        stack.pop()
    return at


def _add(parts: list[Part], start: int, end: int, stack: Sequence[Section]) -> None:
    if end > start:
        parts.append(Part(start, end, tuple(section.title for section in stack[-8:] if section.title)))


def _merged(parts: list[Part], tokens: Counter, options: CompileSettings, labels: _Labels) -> list[Part]:
    """Short parts joined with neighbours: parent with child, or siblings, under the path they share."""
    merged: list[Part] = []
    for part in parts:
        if merged and (path := _joint(merged[-1], part, tokens, options)) is not None:
            room = _room(options) - labels.size(path)
            last = merged[-1]
            leads = tokens.between(last.start, last.end) < options.min_chunk_tokens and path == part.path
            if leads or tokens.between(last.start, part.end) <= room:
                merged[-1] = Part(last.start, part.end, path)
                continue
        merged.append(part)
    return merged


def _joint(last: Part, part: Part, tokens: Counter, options: CompileSettings) -> Path | None:
    """The path of two neighbours joined; None where both are long enough, or strangers."""
    least = options.min_chunk_tokens
    sizes = (tokens.between(last.start, last.end), tokens.between(part.start, part.end))
    if min(sizes) >= least:
        return None
    shared = 0
    for mine, other in zip(last.path, part.path, strict=False):
        if mine != other:
            break
        shared += 1
    if sizes[0] < least and shared == len(last.path):
        return part.path  # a heading, or an introduction of a few words, leads its first section
    return last.path[:shared] if shared >= max(len(last.path), len(part.path)) - 1 else None


def _named(document: Document, spans: list[Part], labels: _Labels) -> list[Chunk]:
    chunks: list[Chunk] = []
    ordinals: defaultdict[Path, int] = defaultdict(int)
    taken: set[str] = set()
    for number, (start, end, path) in enumerate(spans):
        title, heading, _ = labels.label(path)
        name = chunk_id(document.doc_id, path, ordinals[path])
        while name in taken:
            ordinals[path] += 1
            name = chunk_id(document.doc_id, path, ordinals[path])
        ordinals[path] += 1
        taken.add(name)
        text = document.text[start:end]
        chunks.append(Chunk(name, document.doc_id, number, start, end, text, title=title, heading=heading))
    return chunks


def chunk_id(doc_id: str, path: Path, ordinal: int) -> str:
    """Sixteen hexadecimal digits of a chunk's place.

    >>> chunk_id("d", ("Setup",), 0) != chunk_id("d", ("Setup",), 1)
    True
    """
    place = "\0".join((doc_id, *path, str(ordinal)))
    return blake2b(place.encode("utf-8", "replace"), digest_size=8).hexdigest()
