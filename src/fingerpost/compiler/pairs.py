"""Training pairs from structure: what a document itself says that it is about.

Deterministic, capped per document, each pair with its origin: ``title``, ``heading``, ``first_sentence``,
``docstring``, ``faq``, ``anchor``. Generated pairs weigh less than judged ones (1.0).
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from urllib.parse import unquote

from fingerpost.records import Chunk, Document, Pair
from fingerpost.text.spans import sentences

WEIGHTS = {"title": 0.5, "heading": 0.4, "first_sentence": 0.2, "docstring": 0.6, "faq": 0.8, "anchor": 0.4}
LIMITS = {"title": 1, "heading": 24, "first_sentence": 8, "docstring": 24, "faq": 16, "anchor": 16}
MIN_WORDS, MAX_CHARACTERS = 2, 300
_WORD = re.compile(r"\w{2,}")
DOCSTRING = re.compile(r"[rRuU]?(?:\"\"\"|''')[ \t]*\n?[ \t]*([^\n\"']{8,300})")
_SIGNATURE_END = re.compile(r":[ \t]*(?:#[^\n]*)?\n\s*")
_DULL_WORDS = "here this link click more read see page top back edit source index home next previous"
_DULL = frozenset(_DULL_WORDS.split())


def from_document(
    document: Document, chunks: Sequence[Chunk], *, known: Container[str] | None = None
) -> list[Pair]:
    """The pairs of one document. Links count only where they lead to a document in ``known``.

    >>> doc = Document("d", "How do I reset it?\\nHold the button.", title="Reset the router")
    >>> from fingerpost.compiler.chunk import split
    >>> [(pair.origin, pair.query) for pair in from_document(doc, split(doc))]
    [('title', 'Reset the router'), ('faq', 'How do I reset it?')]
    """
    code = document.media_type.startswith("text/x-") and document.media_type != "text/x-rst"
    found = [
        *(_titles(document, chunks) if not code else ()),
        *(_docstrings(document, chunks) if code else _headings(chunks)),
        *(() if code else _questions(document, chunks)),
        *(() if code else _first_sentences(chunks)),
        *(_anchors(document, known) if known is not None else ()),
    ]
    return _capped(found)


def _capped(found: list[Pair]) -> list[Pair]:
    counts = dict.fromkeys(LIMITS, 0)
    seen: set[tuple[str, str, str | None]] = set()
    kept: list[Pair] = []
    for pair in found:
        key = (pair.query.casefold(), pair.doc_id, pair.chunk_id)
        if key not in seen and counts[pair.origin] < LIMITS[pair.origin]:
            seen.add(key)
            counts[pair.origin] += 1
            kept.append(pair)
    return kept


def _pair(query: str, doc_id: str, chunk_id: str | None, origin: str) -> Iterator[Pair]:
    """At most one pair: queries of a single word or of half a page teach nothing."""
    query = " ".join(query.split())
    if len(query) <= MAX_CHARACTERS and len(_WORD.findall(query)) >= MIN_WORDS:
        yield Pair(query, doc_id, chunk_id, WEIGHTS[origin], origin)


def _titles(document: Document, chunks: Sequence[Chunk]) -> Iterator[Pair]:
    first = chunks[0].chunk_id if len(chunks) == 1 else None
    yield from _pair(document.title, document.doc_id, first, "title")


def _headings(chunks: Sequence[Chunk]) -> Iterator[Pair]:
    """A heading with its parent's words (``Setup › Linux``), for the first chunk beneath it."""
    seen: set[tuple[str, ...]] = set()
    for chunk in chunks:
        if chunk.heading and chunk.heading not in seen:
            seen.add(chunk.heading)
            words = chunk.heading[-1] if len(chunk.heading) == 1 else " ".join(chunk.heading[-2:])
            yield from _pair(words, chunk.doc_id, chunk.chunk_id, "heading")


def _first_sentences(chunks: Sequence[Chunk]) -> Iterator[Pair]:
    """The first sentence of each chunk of a longer document; alone it would only repeat the text."""
    for chunk in chunks if len(chunks) > 1 else ():
        spans = sentences(chunk.text[: 4 * MAX_CHARACTERS])
        start, end = spans[0] if spans else (0, 0)
        if len(spans) > 1 and end - start >= 20 and chunk.text[start].isalpha():
            yield from _pair(chunk.text[start:end], chunk.doc_id, chunk.chunk_id, "first_sentence")


def _questions(document: Document, chunks: Sequence[Chunk]) -> Iterator[Pair]:
    """Lines that end in a question mark and are followed by text."""
    starts = [chunk.start for chunk in chunks]
    at = 0
    text = document.text
    while (mark := text.find("?\n", at)) >= 0:
        begin = text.rfind("\n", at, mark) + 1 or at
        at = mark + 2
        question = text[begin : mark + 1].strip(" \t#*_>-").removeprefix("Q:").strip()
        if text[at : at + 400].strip() and starts:
            chunk = chunks[max(0, bisect_right(starts, begin) - 1)]
            yield from _pair(question, document.doc_id, chunk.chunk_id, "faq")


def _docstrings(document: Document, chunks: Sequence[Chunk]) -> Iterator[Pair]:
    """The first line of each docstring, for the chunk that holds its symbol's head."""
    starts = [chunk.start for chunk in chunks]
    for section in document.sections:
        if section.kind != "symbol" or not starts:
            continue
        end = _SIGNATURE_END.search(document.text, section.start, min(section.end, section.start + 2_000))
        found = DOCSTRING.match(document.text, end.end()) if end else None
        if found:
            chunk = chunks[max(0, bisect_right(starts, section.start) - 1)]
            yield from _pair(found.group(1), document.doc_id, chunk.chunk_id, "docstring")


def _anchors(document: Document, known: Container[str]) -> Iterator[Pair]:
    """The words of links to other documents that are there."""
    for section in document.sections:
        if section.kind != "link":
            continue
        words = document.text[section.start : section.end].strip(" `*_")
        target = resolve(section.title, document.doc_id)
        if target != document.doc_id and target in known and words.lower() not in _DULL:
            yield from _pair(words, target, None, "anchor")


def resolve(link: str, doc_id: str) -> str:
    """The doc_id that a relative link in ``doc_id`` names; absolute URLs name themselves.

    >>> resolve("../api/auth.md#keys", "guide/start.md")
    'api/auth.md'
    """
    target = unquote(link.partition("#")[0].partition("?")[0])
    if "://" in target or not target:
        return target
    if target.startswith("/"):
        return target.lstrip("/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(doc_id), target))
