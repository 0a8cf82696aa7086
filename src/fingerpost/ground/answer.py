"""The extractive answerer: the best sentences of the evidence, each with its citation. It needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fingerpost.config import GroundSettings
from fingerpost.ground.support import Idf, Meaning, Sentence, asks_for_code, score, wanted
from fingerpost.records import Answer, Span, Statement
from fingerpost.text.query import Query
from fingerpost.text.spans import merge
from fingerpost.text.tokens import places

_SAME = 0.8  # Jaccard similarity of terms from which two sentences say the same
_WORTH = 0.6  # further sentences need this share of the best one's support


def extract(
    query: Query,
    spans: Sequence[Span],
    *,
    settings: GroundSettings,
    idf: Idf | None = None,
    meaning: Meaning | None = None,
) -> Answer:
    """The sentences that answer ``query``, best first, from the first ``settings.spans`` spans.

    Every statement is one sentence and cites the span narrowed to it: ``citation.start:end`` are offsets in
    the document. Lines of source code answer where no prose does, or where the question asks for code.
    When the best sentence's support is below ``settings.support`` the answer is a refusal
    that names both.
    """
    if not spans:
        return refusal(query, "nothing was found that could support an answer")
    best: Sequence[Sentence] = score(query, spans[: settings.spans], idf=idf, meaning=meaning)
    if not asks_for_code(query):
        best = _prose(best, settings.support)
    if not best or best[0].support < settings.support:
        top = best[0].support if best else 0.0
        reason = f"no evidence supports an answer: best support {top:.2f}, needed {settings.support:.2f}"
        return refusal(query, reason)
    chosen = _distinct(best, max(settings.support, _WORTH * best[0].support), settings.sentences)
    terms = wanted(query)
    citations = tuple(_citation(each, spans[each.span], terms) for each in chosen)
    statements = tuple(Statement(" ".join(each.text.split()), (at,)) for at, each in enumerate(chosen))
    return Answer(query.text, statements, citations)


def refusal(query: Query, reason: str) -> Answer:
    """No answer, and why."""
    return Answer(query.text, (), (), refused=True, reason=reason)


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sets of terms are near enough to be the same sentence.

    >>> alike(frozenset("abcde"), frozenset("abcd")), alike(frozenset("ab"), frozenset("cd"))
    (True, False)
    """
    return len(one & other) >= _SAME * max(1, len(one | other))


def _prose(best: Sequence[Sentence], least: float) -> Sequence[Sentence]:
    """Only the sentences that are no code, where one of them has enough support."""
    prose = [each for each in best if not each.code]
    return prose if prose and prose[0].support >= least else best


def _distinct(best: Sequence[Sentence], least: float, most: int) -> list[Sentence]:
    chosen: list[Sentence] = []
    for each in best:
        if each.support < least or len(chosen) == most:
            break
        if not any(alike(each.terms, other.terms) for other in chosen):
            chosen.append(each)
    return chosen


def _citation(sentence: Sentence, span: Span, terms: frozenset[str]) -> Span:
    found = [(a + sentence.start, b + sentence.start) for a, b in places(sentence.text, terms)]
    parts = {
        "support": sentence.support,
        "coverage": sentence.coverage,
        "context": sentence.context,
        "span": sentence.whole,
    }
    if sentence.cosine is not None:
        parts["cosine"] = sentence.cosine
    return replace(
        span,
        start=sentence.start,
        end=sentence.end,
        text=sentence.text,
        score=sentence.support,
        parts=parts,
        highlights=tuple(merge(found)),
    )
