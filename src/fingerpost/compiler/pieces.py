"""Cutting a stretch of text into pieces of about equal size, at the best places there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.compiler.tokens import Counter
from fingerpost.text.spans import Interval, sentences

Offsets = NDArray[np.int64]
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LINE = re.compile(r"\n")
# how far below the ideal size a piece may stay in order to end at a better place
_SLACK = (0.5, 0.6, 0.75)


def balanced(
    text: str, start: int, end: int, *, tokens: Counter, limit: int, lines: bool = False
) -> list[Interval]:
    """Spans of at most ``limit`` word pieces that cover ``text[start:end]`` but for white space.

    Cuts are at paragraphs, else sentences (``lines``: else line breaks), else words, nearest to equal sizes.
    """
    start, end = _trim(text, start, end)
    if start == end:
        return []
    if tokens.between(start, end) <= limit:
        return [(start, end)]
    ladder = [np.array(places, dtype=np.int64) for places in _ladder(text, start, end, lines)]
    counts = [tokens.index(places) for places in ladder]
    total = int(tokens.index(np.array([end]))[0])
    pieces: list[Interval] = []
    while start < end:
        cut = _cut(start, total, ladder, counts, tokens, limit, end)
        span = _trim(text, start, cut)
        if span[0] < span[1]:
            pieces.append(span)
        start = cut
    return pieces


def _ladder(text: str, start: int, end: int, lines: bool) -> Iterator[Sequence[int]]:
    """Places to cut, from the best kind to the worst."""
    part = text[start:end]
    yield [start + match.end() for match in _PARAGRAPH.finditer(part)]
    if lines:
        yield [start + match.end() for match in _LINE.finditer(part)]
    else:
        yield [start + at for at, _ in sentences(part)[1:]]
    yield [start + match.start() for match in re.finditer(r"(?<=\s)\S", part)]


def _cut(
    start: int,
    total: int,
    ladder: list[Offsets],
    counts: list[NDArray[np.int64]],
    tokens: Counter,
    limit: int,
    end: int,
) -> int:
    """The end of the piece that begins at ``start``."""
    used = int(tokens.index(np.array([start]))[0])
    rest = total - used
    if rest <= limit:
        return end
    ideal = rest / -(-rest // limit)
    for places, before, slack in zip(ladder, counts, _SLACK, strict=True):
        low = int(np.searchsorted(before, used + slack * ideal))
        high = int(np.searchsorted(before, used + limit, side="right"))
        if low < high:
            window = before[low:high]
            near = int(np.searchsorted(window, used + ideal))
            options = [at for at in (near - 1, near) if 0 <= at < len(window)]
            best = min(options, key=lambda at: abs(int(window[at]) - used - ideal))
            if int(places[low + best]) > start:
                return int(places[low + best])
    return max(tokens.offset(used + max(int(ideal), 1), end), start + 1)


def _trim(text: str, start: int, end: int) -> Interval:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
