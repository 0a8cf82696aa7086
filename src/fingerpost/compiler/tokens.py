"""Counting word pieces: where each token of a text starts, found once and then looked up."""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
LONG = 24
_WORDS = re.compile(r"\w+|[^\w\s]")


class TokenOffsets(Protocol):
    """A token counter: an encoder, or ``Words`` where there is none."""

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Character offsets [t, 2] of the word pieces of ``text``, without special ones."""
        ...


class Words:
    """The counter without a model: words and punctuation marks.

    >>> Words().offsets("Hello, world").tolist()
    [[0, 5], [5, 6], [7, 12]]
    """

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Character offsets [t, 2] of words and marks."""
        spans = [match.span() for match in _WORDS.finditer(text)]
        return np.array(spans, dtype=np.int32).reshape(-1, 2)


class Counter:
    """Token counts of any stretch of one text, each in logarithmic time."""

    def __init__(self, text: str, count: TokenOffsets) -> None:
        blocks = []
        for start, end in _blocks(text):
            found = count.offsets(text[start:end] if end - start < len(text) else text)
            blocks.append(_without_giants(found.astype(np.int64) + start))
        self.starts: NDArray[np.int64] = np.concatenate(blocks) if blocks else np.zeros(0, np.int64)

    def between(self, start: int, end: int) -> int:
        """How many word pieces start in ``text[start:end]``."""
        return self.before(end) - self.before(start)

    def before(self, offset: int) -> int:
        """How many word pieces start before an offset."""
        return int(np.searchsorted(self.starts, offset))

    def index(self, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many word pieces start before each of many offsets."""
        return np.searchsorted(self.starts, offsets)

    def offset(self, index: int, end: int) -> int:
        """Where word piece number ``index`` starts; ``end`` beyond the last."""
        return int(self.starts[index]) if index < len(self.starts) else end


def _without_giants(spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Starts, ascending. An unknown word of thousands of characters is one token to the model, but no
    piece of text that anybody can read: beyond ``LONG`` characters each further one counts."""
    starts = spans[:, 0]
    lengths = spans[:, 1] - starts
    giants = np.flatnonzero(lengths > LONG)
    if len(giants) == 0:
        return np.maximum.accumulate(starts) if len(starts) else starts
    extra = [np.arange(spans[at, 0] + LONG, spans[at, 1]) for at in giants]
    return np.sort(np.concatenate([starts, *extra]), kind="stable")


def _blocks(text: str) -> list[tuple[int, int]]:
    """The text in stretches of about 64k characters, cut at white space where there is some."""
    blocks: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = min(start + BLOCK, len(text))
        if end < len(text):
            newline = text.rfind("\n", start + BLOCK // 2, end)
            space = newline if newline >= 0 else text.rfind(" ", start + BLOCK // 2, end)
            end = space if space >= 0 else end
        blocks.append((start, end))
        start = end
    return blocks
