"""Semantic docids: each document an address of a few symbols, its place in a tree of clusters.

Hierarchical k-means as in the DSI paper (Tay et al. 2022, arXiv:2202.06991, section 3.2): documents that
share a prefix are about similar things. Every docid has the same number of symbols, and a node never has
more children than there are symbols. The docids belong to one training: ``keys`` are what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.kmeans import F32, I64, balanced, unit
from fingerpost.route.succession import succeeded

LENGTH = 3
"""Symbols of a docid, one more from ``MANY`` documents on."""
MANY = 32_768


@dataclass(frozen=True)
class Docids:
    """``symbols`` [n, L] int16, ascending: docid i stands for the document with the key ``keys[i]``."""

    symbols: NDArray[np.int16]
    keys: I64

    @property
    def length(self) -> int:
        """Symbols of a docid."""
        return int(self.symbols.shape[1])

    @cached_property
    def width(self) -> int:
        """How many symbols there are."""
        return int(self.symbols.max(initial=0)) + 1

    @cached_property
    def place(self) -> Mapping[int, int]:
        """The row of each document's key."""
        return {key: at for at, key in enumerate(self.keys.tolist())}

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Which symbols may come next on the way to each docid: [n, L, width]."""
        mask = np.zeros((*self.symbols.shape, self.width), np.bool_)
        for step in range(self.length):
            _, group = np.unique(self.symbols[:, :step], axis=0, return_inverse=True)
            group = group.reshape(-1) if step else np.zeros(len(self.keys), np.int64)
            children = np.zeros((int(group.max(initial=0)) + 1, self.width), np.bool_)
            children[group, self.symbols[:, step]] = True
            mask[:, step] = children[group]
        return mask

    def renamed(self, successors: Mapping[int, int | None]) -> Docids:
        """The docids after documents were replaced: a docid goes on standing for the version that took its
        document's place. ``successors`` come oldest first; a deleted document's docid stands for none.
        """
        return replace(self, keys=succeeded(self.keys, successors))


def build(vectors: NDArray[np.floating], keys: I64, *, seed: int, length: int | None = None) -> Docids:
    """Docids of documents with these ``vectors`` [n, d] and ``keys`` [n]. Deterministic for a seed.

    >>> rows = unit(np.random.default_rng(0).normal(size=(30, 8)))
    >>> made = build(rows, np.arange(30), seed=0)
    >>> made.symbols.shape, len(np.unique(made.symbols, axis=0)), made.width <= 4
    ((30, 3), 30, True)
    """
    rows, count = unit(vectors), len(keys)
    steps = length or (LENGTH if count <= MANY else LENGTH + 1)
    width = max(2, int(np.ceil(count ** (1 / steps) - 1e-9)))
    symbols = np.zeros((count, steps), np.int16)
    nodes = [np.arange(count)]
    for step in range(steps):
        room = width ** (steps - step - 1)
        children: list[I64] = []
        for number, members in enumerate(nodes):
            labels = _split(rows[members], width, room, seed=seed + step * 7919 + number)
            symbols[members, step] = labels
            children += [members[labels == label] for label in np.unique(labels)]
        nodes = children
    order = np.lexsort(symbols.T[::-1])
    return Docids(symbols[order], np.asarray(keys, np.int64)[order])


def _split(rows: F32, width: int, room: int, *, seed: int) -> I64:
    """A label below ``width`` for each row, none more than ``room`` times: the nearest cluster that has room,
    those that are surest of theirs first.
    """
    if room == 1 or len(rows) <= 1:
        return np.arange(len(rows))
    count = min(width, len(rows))
    centroids, _ = balanced(rows, count, seed=seed)
    closeness = rows @ centroids.T
    labels = np.full(len(rows), -1, np.int64)
    while (waiting := np.flatnonzero(labels < 0)).size:
        wanted = closeness[waiting].argmax(axis=1)
        for label in np.unique(wanted).tolist():
            mine = waiting[wanted == label]
            free = room - int((labels == label).sum())
            labels[mine[np.argsort(-closeness[mine, label], kind="stable")[:free]]] = label
            if len(mine) >= free:
                closeness[:, label] = -np.inf
    return labels
