"""Pack evidence into a token budget: best first, nothing twice, cut only at the end of a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fingerpost.ground.answer import alike
from fingerpost.records import Span
from fingerpost.text.spans import sentences
from fingerpost.text.tokens import analyze

Count = Callable[[str], int]
_FRAME = 16  # tokens around each piece of evidence: its number, its source


def pack(spans: Iterable[Span], *, budget: int, count: Count) -> tuple[Span, ...]:
    """The spans that fit into ``budget`` tokens, in rank order; the last one may be cut after a sentence.

    Spans that overlap a better one, or say the same in nearly the same words, are left out.

    >>> [span.text for span in pack([Span("a", "c", 0, 9, "One. Two.", 1.0)], budget=18, count=len)]
    []
    >>> [span.text for span in pack([Span("a", "c", 0, 9, "One. Two.", 1.0)], budget=22, count=len)]
    ['One.']
    """
    packed: list[Span] = []
    for span in spans:
        if any(_same(span, other) for other in packed):
            continue
        room = budget - _FRAME
        if room <= 0:
            break
        fitting = _cut(span, room, count)
        if fitting is not None:
            packed.append(fitting)
            budget = room - count(fitting.text)
        if fitting != span:
            break
    return tuple(packed)


def _cut(span: Span, room: int, count: Count) -> Span | None:
    if count(span.text) <= room:
        return span
    for _, end in reversed(sentences(span.text)[:-1]):
        if count(span.text[:end]) <= room:
            return replace(span, end=span.start + end, text=span.text[:end])
    return None


def _same(span: Span, other: Span) -> bool:
    if span.doc_id == other.doc_id and span.start < other.end and other.start < span.end:
        return True
    return alike(frozenset(analyze(span.text)), frozenset(analyze(other.text)))
