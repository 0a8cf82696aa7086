"""The most probable docids, in their order: a beam search over the trie of docids that loses nothing.

A prefix is at least as probable as any docid beneath it. So prefixes wait in a queue by probability, the best
``BEAM`` of one length are extended together, and a docid is given out once nothing that waits can beat it.
An ordinary beam search drops what falls out of the beam; here it only waits.

A node's children share its probability among themselves, those whose documents are gone included: who is
deleted takes its share along, and nobody else's probability moves.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.deep.docids import Docids
from fingerpost.route.kmeans import F32

BEAM = 16

Scores = Callable[[NDArray[np.int16]], F32]
"""Unnormalised scores [b, width] of the next symbol after prefixes [b, l]."""


def ranked(docids: Docids, scores: Scores, *, live: NDArray[np.bool_]) -> Iterator[tuple[int, float]]:
    """Rows of ``docids`` that are ``live`` [n], most probable first, with their log-probabilities.

    >>> docids = Docids(np.array([[0, 0], [0, 1], [1, 0]], np.int16), np.array([7, 8, 9]))
    >>> even = lambda prefixes: np.zeros((len(prefixes), 2), np.float32)
    >>> [(row, round(chance, 2)) for row, chance in ranked(docids, even, live=np.ones(3, np.bool_))]
    [(2, -0.69), (0, -1.39), (1, -1.39)]
    """
    symbols, length = docids.symbols, docids.length
    standing = np.concatenate([[0], np.cumsum(live)])
    waiting: list[tuple[float, int, int, int]] = []  # −log p, first row, row after the last, symbols so far
    if standing[-1]:
        waiting.append((0.0, 0, len(symbols), 0))
    while waiting:
        if waiting[0][3] == length:
            cost, row, _, _ = heapq.heappop(waiting)
            yield row, -cost
            continue
        nodes = _best(waiting)
        depth = nodes[0][3]
        found = scores(np.stack([symbols[first, :depth] for _, first, _, _ in nodes]))
        for (cost, first, end, _), row in zip(nodes, found, strict=True):
            column = symbols[first:end, depth]
            starts = first + np.flatnonzero(np.concatenate([[True], np.diff(column) != 0]))
            ends = np.append(starts[1:], end)
            chances = _log_softmax(row[symbols[starts, depth]])
            alive = standing[ends] > standing[starts]
            for start, stop, chance in zip(starts[alive], ends[alive], chances[alive], strict=True):
                heapq.heappush(waiting, (cost - float(chance), int(start), int(stop), depth + 1))


def _best(waiting: list[tuple[float, int, int, int]]) -> list[tuple[float, int, int, int]]:
    """Take the best node out, and with it those of its length among the next ``BEAM``."""
    taken = [heapq.heappop(waiting)]
    others = [heapq.heappop(waiting) for _ in range(min(BEAM - 1, len(waiting)))]
    for node in others:
        if node[3] == taken[0][3]:
            taken.append(node)
        else:
            heapq.heappush(waiting, node)
    return taken


def _log_softmax(row: F32) -> NDArray[np.float64]:
    wide = row.astype(np.float64)
    wide -= wide.max()
    return np.asarray(np.minimum(wide - np.log(np.exp(wide).sum()), 0.0))
