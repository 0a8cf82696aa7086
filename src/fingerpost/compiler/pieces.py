"""Cutting a stretch of text into pieces of about equal size, at the best places there are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.compiler.tokens import Counter
from fingerpost.text.spans import Interval, sentences

Offsets = NDArray[np.int64]
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LINE = re.compile(r"\n")
_WORD = re.compile(r"(?<=\s)\S")
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
    ladder = _Ladder(text, start, end, tokens, lines)
    total = tokens.before(end)
    pieces: list[Interval] = []
    while start < end:
        cut = _cut(start, end, total, ladder, tokens, limit)
        span = _trim(text, start, cut)
        if span[0] < span[1]:
            pieces.append(span)
        start = cut
    return pieces


class _Ladder:
    """Places to cut, the best kind first, each with the word pieces before it; found when asked for."""

    def __init__(self, text: str, start: int, end: int, tokens: Counter, lines: bool) -> None:
        self._part = text[start:end]
        self._start = start
        self._tokens = tokens
        self._lines = lines
        self._steps: list[tuple[Offsets, Offsets]] = []

    def step(self, number: int) -> tuple[Offsets, Offsets]:
        """Places and counts: 0 paragraphs, 1 sentences or lines, 2 words."""
        while len(self._steps) <= number:
            found = np.array(self._places(len(self._steps)), dtype=np.int64) + self._start
            self._steps.append((found, self._tokens.index(found)))
        return self._steps[number]

    def _places(self, number: int) -> Sequence[int]:
        if number == 0:
            return [match.end() for match in _PARAGRAPH.finditer(self._part)]
        if number == 2:
            return [match.start() for match in _WORD.finditer(self._part)]
        if self._lines:
            return [match.end() for match in _LINE.finditer(self._part)]
        return [at for at, _ in sentences(self._part)[1:]]


def _cut(start: int, end: int, total: int, ladder: _Ladder, tokens: Counter, limit: int) -> int:
    """The end of the piece that begins at ``start``."""
    used = tokens.before(start)
    rest = total - used
    if rest <= limit:
        return end
    ideal = rest / -(-rest // limit)
    for number, slack in enumerate(_SLACK):
        places, before = ladder.step(number)
        low = int(np.searchsorted(before, used + slack * ideal))
        high = int(np.searchsorted(before, used + limit, side="right"))
        if low < high:
            near = low + int(np.searchsorted(before[low:high], used + ideal))
            options = [at for at in (near - 1, near) if low <= at < high]
            best = min(options, key=lambda at: abs(int(before[at]) - used - ideal))
            if places[best] > start:
                return int(places[best])
    return max(tokens.offset(used + max(int(ideal), 1), end), start + 1)


def _trim(text: str, start: int, end: int) -> Interval:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
