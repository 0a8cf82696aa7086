"""What the rooms pass to each other: frozen records without behaviour.

Words (and no others): a *document* is the user's, named by ``doc_id``; a *chunk* is a piece of its
text, named by ``chunk_id``; a *span* is evidence, text with offsets; a *pair* says that a query belongs to a
document; a *plan* says where and how to look.

Offsets count characters (code points) of ``Document.text``; ``start`` is inclusive, ``end`` exclusive, and
``document.text[start:end]`` is the chunk's or span's text, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = str | int | float | bool
Address = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document's outline: a heading, a code symbol, a page, a table."""

    start: int
    end: int
    title: str
    level: int
    kind: str = "heading"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of the user's, read, normalized and (once compiled) masked.

    ``labels`` are access labels: ``None`` means the document carries none, ``()`` that nobody may read it.
    ``source_map`` holds breakpoints ``(offset in text, offset in the source's text)`` where the two differ.
    ``flags`` name what a reader noticed, such as ``hidden_text`` or ``has_active_content``.
    """

    doc_id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Value] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    media_type: str = "text/plain"
    sections: tuple[Section, ...] = ()
    source_map: tuple[tuple[int, int], ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input that was left out, with the reason and what to do about it."""

    source: str
    code: str
    reason: str
    cure: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. ``heading`` is its path in the outline, outermost first; ``about`` a sentence on
    where it stands, written by a language model where one was asked: indexed, and kept out of the evidence.
    ``facts`` are short metadata of the document, indexed and kept out likewise.
    """

    chunk_id: str
    doc_id: str
    ordinal: int
    start: int
    end: int
    text: str
    title: str = ""
    heading: tuple[str, ...] = ()
    about: str = ""
    facts: str = ""

    @property
    def context(self) -> str:
        """Title › headings: what is put before the text for the indexes, and kept out of the evidence."""
        path = [self.title, *self.heading]
        return " › ".join(part for at, part in enumerate(path) if part and part not in path[:at])

    @property
    def passage(self) -> str:
        """What is embedded and lexically indexed: the context, the sentence about it, the facts, the text, a
        line each.

        >>> Chunk("c", "d", 0, 0, 4, "Wait", title="queue.py", heading=("Queue", "get")).passage
        'queue.py › Queue › get\\nWait'
        """
        return "\n".join(part for part in (self.context, self.about, self.facts, self.text) if part)

    @property
    def said(self) -> str:
        """The passage as far as the document says it itself."""
        return f"{self.context}\n{self.text}" if self.context else self.text

    @property
    def own(self) -> str:
        """Where names and codes are looked up: what the document says, its facts, and what it is called. A
        ticket's key or a file's whole path may stand nowhere else.

        >>> Chunk("c", "PROJ-7", 0, 0, 4, "Wait", title="Queue", facts="version: 2.1").own
        'PROJ-7\\nQueue\\nWait\\nversion: 2.1'
        """
        said = f"{self.said}\n{self.facts}" if self.facts else self.said
        return said if self.doc_id in self.context else f"{self.doc_id}\n{said}"


WRITTEN = "written:"
"""How origins of pairs begin that a language model wrote about a text: they go with that text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a document that answers it; ``origin`` tells gold from clicks from generated ones."""

    query: str
    doc_id: str
    chunk_id: str | None = None
    weight: float = 1.0
    origin: str = "gold"


ITSELF = "itself"
"""The origin of a gold pair whose query is a document itself (same id, same text), no answer to it."""
GIVEN = ("gold", "log", ITSELF)
"""Origins of pairs that somebody gave; the others were made from the documents."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and how to look. ``leaves`` is empty when ``full`` is true: everything is scored.

    ``reason`` says in a few words why the plan is what it is; every trace carries it.
    """

    legs: tuple[str, ...]
    full: bool = True
    leaves: tuple[int, ...] = ()
    addresses: tuple[Address, ...] = ()
    probabilities: tuple[float, ...] = ()
    rerank_depth: int = 100
    rewrite: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Found chunks as columns: ``keys[i]`` is a chunk's key, ``docs[i]`` its document's key (int64).

    ``scores[leg][i]`` is what a leg gave to chunk i (float32), NaN where that leg did not find or score it.
    """

    keys: NDArray[np.int64]
    docs: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Span:
    """Evidence: ``text`` stands at ``start:end`` of document ``doc_id`` as of ``generation``."""

    doc_id: str
    chunk_id: str
    start: int
    end: int
    text: str
    score: float
    title: str = ""
    heading: tuple[str, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Value] = field(default_factory=dict)
    highlights: tuple[tuple[int, int], ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a trace: its time in milliseconds, its counts and a note in words."""

    name: str
    ms: float
    counts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """What was done for one query, stage by stage, under one generation of the index. ``confidence``: the
    chance that the first result is of the right document, where ``learn`` found out how to tell.
    """

    query: str
    generation: int
    stages: tuple[Stage, ...] = ()
    plan: Plan | None = None
    confidence: float | None = None

    @property
    def ms(self) -> float:
        """The sum of all stages, in milliseconds."""
        return sum(stage.ms for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of an answer and the indices, into ``Answer.citations``, of the spans it rests on."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose every statement cites verified spans, or a refusal that says why."""

    question: str
    statements: tuple[Statement, ...]
    citations: tuple[Span, ...]
    refused: bool = False
    reason: str = ""
    trace: Trace | None = None

    @property
    def text(self) -> str:
        """The statements with ``[n]`` marks, n counting the citations from 1."""
        if self.refused:
            return self.reason
        marks = [(s.text, "".join(f"[{n + 1}]" for n in s.citations)) for s in self.statements]
        return " ".join(f"{text} {mark}".strip() for text, mark in marks)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A tree that explains a result: a name, its value, a note in words, and what it is made of."""

    name: str
    value: str = ""
    note: str = ""
    children: tuple[Explanation, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a compile, update or learn did: counts, what was left out, and tables in words."""

    counts: Mapping[str, float] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    generation: int = 0
