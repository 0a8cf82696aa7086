"""A passage says the same word again and again: its vectors, where they are alike, need to be kept only once.

MaxSim asks for the best match alone, and what one of two alike vectors matches the other matches as well.
Pooling whichever tokens are alike (Clavié et al. 2024, arXiv:2409.14683) would mix word pieces, whose means
the codec subtracts; repeats of one piece keep theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Rows = NDArray[np.intp]


def once(vectors: Floats, words: Ids, *, alike: float) -> NDArray[np.bool_]:
    """Which rows of unit vectors [t, d] are kept where repeats of a word (``words`` [t] are their numbers)
    whose cosine to an earlier one is at least ``alike`` are put into that one. *In place*: that one becomes
    their mean, of length one. Above 1 all are kept.

    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], np.float32)
    >>> kept = once(vectors, np.array([7, 8, 7]), alike=0.7)
    >>> vectors[kept].astype(float).round(2).tolist()
    [[0.95, 0.32], [0.0, 1.0]]
    """
    kept = np.ones(len(words), np.bool_)
    left = np.argsort(words, kind="stable") if alike <= 1 else np.zeros(0, np.intp)
    while len(left := _repeated(left, words)):
        # of every word at once: what is like its first row joins it, the others go round again
        leads = _changes(words[left])
        leader = left[leads][np.cumsum(leads) - 1]
        near = np.einsum("td,td->t", vectors[left], vectors[leader]) >= alike
        joins = near & ~leads
        _join(vectors, leader[joins], left[joins])
        kept[left[joins]] = False
        left = left[~near & ~leads]
    return kept


def _repeated(rows: Rows, words: Ids) -> Rows:
    """Those of the rows, sorted by word, whose word another of them has too."""
    alone = _changes(words[rows])
    alone[:-1] &= alone[1:]
    return rows[~alone]


def _changes(values: Ids | Rows) -> NDArray[np.bool_]:
    """Whether each value is another than the one before it; the first is."""
    changes = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _join(vectors: Floats, leader: Rows, rows: Rows) -> None:
    """Add each row to its leader, and bring the leaders back to length one. A word's rows are added one by
    one in their order, whichever other words there are, so that a passage's sums are the same in any company.
    """
    if not len(rows):
        return
    leads = _changes(leader)
    starts = np.flatnonzero(leads)
    turn = np.arange(len(rows)) - starts[np.cumsum(leads) - 1]
    for at in range(int(turn.max()) + 1):
        now = turn == at
        vectors[leader[now]] += vectors[rows[now]]
    sums = vectors[leader[starts]]
    lengths = np.sqrt(np.einsum("td,td->t", sums, sums))
    vectors[leader[starts]] = sums / np.maximum(lengths, 1e-9)[:, None]
