"""How well each sentence of the evidence supports an answer: coverage of the question's terms, rank, meaning.

*Coverage* is the share of the question's terms, weighted by idf, that a text holds; question words (what,
how, does) do not count. A sentence's *context* is itself, the sentence before it, and the title › headings
of its span. *Mass* is how much was covered in all, log(1 + 10 Σ idf / highest idf): three rare terms say more
than a common one. The *support* of a sentence is a logistic function of these, fitted on answerable and
unanswerable questions; how and with what figures stands in bench/LOG.md.

A sentence's vector costs a pass through the encoder, so only those that promise most by their words and
their span's rank get one; lines of source code come last among them, unless the question asks for code.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Span
from fingerpost.text.code import is_code
from fingerpost.text.query import Query
from fingerpost.text.spans import sentences
from fingerpost.text.tokens import analyze, codes

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Idf = Callable[[str], float]

MAX_SENTENCE_CHARS = 600
MAX_SENTENCES = 64
MAX_ENCODED = 12
_OF_ONE_SPAN = 3  # of those encoded: what is said in other words may stand in any of the first spans
_QUOTES = re.compile(r"[A-Za-z]{0,2}(?:\"\"\"|''')\s*")
_LINK = re.compile(r"\b[A-Za-z][\w+.-]{1,20}://\S+")
_ASKS_FOR_CODE = re.compile(
    r"\b(?:signature|definition|declaration|syntax|prototype|snippet|source code|example code)s?\b|[(={]",
    re.IGNORECASE,
)
_ASKING = (
    "what which who whom whose when where why how do does did can could should would may might "
    "i me my you your"
)
_IN_NO_DOCUMENT = "\0"
_TYPICAL = 0.5
_LEXICAL = (-14.1, 2.38, 2.34, 0.71, 4.0)  # bias, context, span, rank, mass: where no encoder is at hand
_MEANING = (-13.68, 1.85, 1.87, 0.14, 3.51, 4.06)  # and the cosine


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the evidence: ``start:end`` in its document, from span number ``span``, with what
    speaks for it.
    """

    span: int
    start: int
    end: int
    text: str
    terms: frozenset[str]
    coverage: float
    context: float
    whole: float
    mass: float
    code: bool = False
    cosine: float | None = None
    support: float = 0.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """Sentence vectors for questions that share no word with their answer: ``encode`` gives unit vectors,
    [n, d].
    """

    query: NDArray[np.float32]
    encode: Encode


def score(
    query: Query, spans: Sequence[Span], *, idf: Idf | None = None, meaning: Meaning | None = None
) -> list[Sentence]:
    """The sentences of ``spans`` with their support, best first; headings and questions are no answers and
    left out.

    ``idf`` answers for any term, most for one that no document holds; without it every term weighs the
    same. At most 64 sentences, from the first spans on, are looked at; with ``meaning`` the 12 most promising
    of them are encoded and returned.
    """
    weights = _weights(query, idf)
    found = [each for at, span in enumerate(spans) for each in _of_span(at, span, weights)][:MAX_SENTENCES]
    if meaning is not None and found:
        found = _promising(found, code=asks_for_code(query))
        vectors = meaning.encode([each.text for each in found])
        cosines = (vectors @ meaning.query).astype(float).tolist()
        found = [replace(each, cosine=cosine) for each, cosine in zip(found, cosines, strict=True)]
    return _judged(found)


def asks_for_code(query: Query) -> bool:
    """Whether a line of source code would answer the question.

    >>> from fingerpost.text.query import parse
    >>> [asks_for_code(parse(text)) for text in ("signature of copytree", "What does copytree do?")]
    [True, False]
    """
    return _ASKS_FOR_CODE.search(query.text) is not None


def _judged(found: Iterable[Sentence]) -> list[Sentence]:
    judged = [replace(each, support=_support(each)) for each in found]
    return sorted(judged, key=lambda each: (-each.support, -each.coverage, each.span, each.start))


def _promising(found: Sequence[Sentence], *, code: bool) -> list[Sentence]:
    """The sentences worth a vector: prose before code, few of each span before more, then by support."""
    seen: Counter[tuple[int, bool]] = Counter()
    ranked = []
    for at, each in enumerate(_judged(found)):
        kind = (each.span, each.code and not code)
        seen[kind] += 1
        ranked.append((kind[1], seen[kind] > _OF_ONE_SPAN, at, each))
    return [each for *_, each in sorted(ranked, key=lambda one: one[:3])[:MAX_ENCODED]]


def wanted(query: Query) -> frozenset[str]:
    """The terms of a question that an answer should hold: not its question words.

    >>> from fingerpost.text.query import parse
    >>> sorted(wanted(parse("How do I rotate the signing key?")))
    ['key', 'rotat', 'sign']
    """
    return frozenset(query.terms) - _asking() | frozenset(query.codes)


def _weights(query: Query, idf: Idf | None) -> dict[str, float]:
    """Term → idf as a share of what a term in no document would have, so that small and large corpora
    compare.
    """
    if idf is None:
        return dict.fromkeys(wanted(query), _TYPICAL)
    raw = {term: idf(term) for term in wanted(query)}
    most = max(idf(_IN_NO_DOCUMENT), *raw.values(), 0.0)
    return {term: weight / most if most > 0 else _TYPICAL for term, weight in raw.items()}


def pieces(text: str) -> list[tuple[int, int]]:
    """Sentences of ``text`` as offsets, a docstring's without its quotation marks; one longer than 600
    characters (a table, code) is cut at white space.

    >>> pieces("One. Two!")
    [(0, 4), (5, 9)]
    """
    parts: list[tuple[int, int]] = []
    for start, end in sentences(text):
        while end - start > MAX_SENTENCE_CHARS:
            window = text[start : start + MAX_SENTENCE_CHARS]
            cut = start + max(window.rfind("\n"), window.rfind(" "), 1)
            parts.append((start, cut))
            start = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
        if start < end:
            parts.append((start, end))
    bare = (_unquoted(text, start, end) for start, end in parts)
    return [(start, end) for start, end in bare if start < end]


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch without the white space around it and a docstring's quotation marks."""
    if (opening := _QUOTES.match(text, start, end)) is not None:
        start = opening.end()
    said = text[start:end].rstrip()
    if said.endswith(('"""', "'''")):
        said = said[:-3].rstrip()
    return start, start + len(said)


def coverage(weights: dict[str, float], terms: Iterable[str]) -> float:
    """The share of the weights whose term is among ``terms``; 0 when there is nothing to cover.

    >>> coverage({"key": 3.0, "rotat": 1.0}, ["key", "x"])
    0.75
    """
    total = sum(weights.values())
    held = set(terms)
    return sum(weight for term, weight in weights.items() if term in held) / total if total > 0 else 0.0


def _of_span(at: int, span: Span, weights: dict[str, float]) -> list[Sentence]:
    around = _terms(" ".join((span.title, *span.heading)))
    parts = [(start, end, _terms(span.text[start:end])) for start, end in pieces(span.text)]
    whole = coverage(weights, around.union(*(terms for *_, terms in parts)))
    found = []
    before: frozenset[str] = frozenset()
    for start, end, terms in parts:
        text = span.text[start:end]
        if _answers(text, terms):
            context = coverage(weights, terms | before | around)
            own = coverage(weights, terms)
            mass = math.log1p(10 * context * sum(weights.values()))
            place = (span.start + start, span.start + end)
            found.append(Sentence(at, *place, text, terms, own, context, whole, mass, is_code(text)))
        before = terms
    return found


def _answers(text: str, terms: frozenset[str]) -> bool:
    """Headings, questions, links and scraps say nothing by themselves."""
    if len(terms) < 2 or text.endswith(("?", "？")) or text.startswith("#"):
        return False
    return "://" not in text or len(_terms(_LINK.sub(" ", text))) >= 2


def _support(sentence: Sentence) -> float:
    mixed = 0.5 * (sentence.coverage + sentence.context)
    values = [1.0, mixed, sentence.whole, 1 / (1 + sentence.span), sentence.mass]
    if sentence.cosine is not None:
        values.append(sentence.cosine)
    weights = _LEXICAL if sentence.cosine is None else _MEANING
    return 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, values, strict=True))))


def _terms(text: str) -> frozenset[str]:
    return frozenset(analyze(text)) | frozenset(codes(text))


@lru_cache(maxsize=1)
def _asking() -> frozenset[str]:
    return frozenset(analyze(_ASKING))
