"""The neighbour graph: the 16 nearest chunks of each chunk, built leaf by leaf and kept as chunks come and
go.

Exact search would multiply every chunk with every other. Here each chunk is compared with the leaves whose
means come nearest to it, then with those where most neighbours of its neighbours lie, since they are likely
its own (NN-descent: Dong, Charikar, Li 2011, doi:10.1145/1963405.1963487). A leaf at a time is one matrix
product. A row of the graph holds row numbers by falling similarity, −1 where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.kmeans import F32, I64
from fingerpost.route.products import cosines, pairs, wide

DEGREE = 16
PROBES = 16
"""Leaves that a chunk is compared with first, by their means."""
ROUNDS = (8, 8)
"""Leaves that are then tried in each round, by the neighbours of its neighbours."""
FIRST = 2
"""How many of them at first."""
BLOCK = 2_048
WAITING = 1_000_000
"""Neighbours found that are kept before they are put into the lists."""
_WIDE = 1 << 32
"""More than there are leaves: keeps the rows of a block apart."""
Graph = NDArray[np.int32]


def neighbours(
    vectors: NDArray[np.floating],
    leaf_offsets: NDArray[np.integer],
    *,
    k: int = DEGREE,
    probes: int = PROBES,
    rounds: tuple[int, ...] = ROUNDS,
) -> Graph:
    """The graph of vectors [N, d] sorted by leaf: [N, k] int32, a chunk is never its own neighbour.

    >>> rows = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> neighbours(rows, np.array([0, 3]), k=2)[0].tolist()
    [1, 2]
    """
    lists = _Lists(vectors, leaf_offsets, np.arange(len(vectors)), k)
    lists.fill(lists.ids, probes=probes, rounds=rounds)
    return lists.sorted()[0]


class _Lists:
    """The best k so far of some ``rows`` [n]: ``ids`` [n, k] and their ``cosines``, in no order."""

    def __init__(
        self, vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer], rows: I64, k: int
    ) -> None:
        self.vectors, self.offsets, self.rows = vectors, leaf_offsets.astype(np.int64), rows
        self.ids = np.full((len(rows), k), -1, dtype=np.int32)
        self.cosines = np.full(self.ids.shape, -np.inf, dtype=np.float32)

    def fill(self, graph: Graph, *, probes: int, rounds: tuple[int, ...]) -> None:
        """Compare with the nearest leaves, then with those of friends; ``graph`` [N, k] holds their lists."""
        tried = self._nearest_leaves(probes)
        for part in np.split(tried, [FIRST], axis=1):  # the very nearest first: little gets past them then
            self._compare(part)
        for count in rounds if len(self.offsets) - 1 > probes else ():
            more = self._leaves_of_friends(graph, tried, count)
            self._compare(more)
            tried = np.concatenate([tried, more], axis=1)

    def sorted(self) -> tuple[Graph, F32]:
        """The lists by falling cosine, −1 where there is nothing, and the cosines."""
        ids = np.where(np.isfinite(self.cosines), self.ids, np.int32(-1))
        order = np.argsort(-self.cosines, axis=1, kind="stable")
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(self.cosines, order, axis=1)

    def _nearest_leaves(self, count: int) -> I64:
        """The ``count`` leaves whose means come nearest to each row, nearest first; all where there are no
        more.
        """
        means = _means(self.vectors, self.offsets).astype(self.vectors.dtype)
        count = min(count, len(means))
        found = np.empty((len(self.rows), count), dtype=np.int64)
        for at in range(0, len(self.rows), BLOCK):
            scores = cosines(self.vectors[self.rows[at : at + BLOCK]], means)
            near = np.argpartition(-scores, count - 1, axis=1)[:, :count]
            order = np.argsort(-np.take_along_axis(scores, near, axis=1), axis=1)
            found[at : at + BLOCK] = np.take_along_axis(near, order, axis=1)
        return found

    def _compare(self, leaves: I64) -> None:
        """Compare every row with all of its ``leaves`` [n, p] (−1: none), a leaf at a time."""
        places, column = np.nonzero(leaves >= 0)
        asked = leaves[places, column]
        places = places[np.argsort(asked, kind="stable")]
        ends = np.cumsum(np.bincount(asked, minlength=len(self.offsets) - 1))
        waiting: list[tuple[I64, I64, F32]] = []
        count = 0
        for leaf, (first, last) in enumerate(pairwise([0, *ends.tolist()])):
            for at in range(first, last, BLOCK):
                waiting.append(self._with_leaf(places[at : min(at + BLOCK, last)], leaf))
                count += len(waiting[-1][0])
                if count > WAITING:
                    self._take(waiting)
                    waiting, count = [], 0
        self._take(waiting)

    def _with_leaf(self, places: I64, leaf: int) -> tuple[I64, I64, F32]:
        """What of a leaf is nearer to the rows at ``places`` than the last of their lists: their place, its
        row, the cosine.
        """
        start, end = self.offsets[leaf : leaf + 2].tolist()
        if start == end:
            return places[:0], places[:0], np.empty(0, dtype=np.float32)
        rows = self.rows[places]
        scores = cosines(self.vectors[rows], self.vectors[start:end])
        own = np.flatnonzero((rows >= start) & (rows < end))
        scores[own, rows[own] - start] = -np.inf
        row, column, score = _best(scores, self.cosines[places].min(axis=1), self.ids.shape[1])
        return places[row], column + start, score

    def _take(self, found: Sequence[tuple[I64, I64, F32]]) -> None:
        """Put neighbours that were found into the lists: place, row and cosine of each."""
        if not found:
            return
        place, ids, near = (np.concatenate(part) for part in zip(*found, strict=True))
        changed, owner = np.unique(place, return_inverse=True)
        self.ids[changed], self.cosines[changed] = _merged(
            self.ids[changed], self.cosines[changed], owner, ids, near
        )

    def _leaves_of_friends(self, graph: Graph, tried: I64, count: int) -> I64:
        """The leaves not yet ``tried`` where most neighbours of each row's neighbours lie: [n, count]."""
        leaf_of = np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int32), np.diff(self.offsets))
        found = np.full((len(self.ids), count), -1, dtype=np.int64)
        for at in range(0, len(self.ids), BLOCK):
            near = np.maximum(self.ids[at : at + BLOCK], 0)
            friends = leaf_of[np.maximum(graph[near], 0).reshape(len(near), -1)]
            row, leaf, votes = _counted(friends)
            new = ~_among(row, leaf, tried[at : at + BLOCK])
            row, leaf = row[new], leaf[new]
            order = np.lexsort((-votes[new], row))
            row, leaf = row[order], leaf[order]
            place = np.arange(len(row)) - np.searchsorted(row, row)
            kept = place < count
            found[at + row[kept], place[kept]] = leaf[kept]
        return found


def _best(scores: F32, least: F32, k: int) -> tuple[I64, I64, F32]:
    """Where rows of ``scores`` [n, m] are above ``least`` [n], the best ``k`` of each row and what equals the
    last of them: row, column, score, by row. Sorting out by two thresholds costs a third of sorting.

    >>> [part.tolist() for part in _best(np.array([[3, 1, 2], [0, 1, 1]], np.float32), np.zeros(2), 1)]
    [[0, 1, 1], [0, 1, 2], [3.0, 1.0, 1.0]]
    """
    above = scores > least[:, None]
    if np.count_nonzero(above) > k * len(scores) and scores.shape[1] > k:
        above &= scores >= np.partition(scores, -k, axis=1)[:, [-k]]
    found = np.flatnonzero(above)
    row, column = np.divmod(found, scores.shape[1])
    return row, column, scores.ravel()[found]


def _counted(values: NDArray[np.int32]) -> tuple[I64, NDArray[np.int32], I64]:
    """Each distinct value of each row of ``values`` [n, m]: row, value, how often, in that order.

    Costs what is there, not the number of possible values: 5,000 leaves cost what 500 do.

    >>> [part.tolist() for part in _counted(np.array([[7, 2, 7], [3, 3, 3]], np.int32))]
    [[0, 0, 1], [2, 7, 3], [1, 2, 3]]
    """
    ascending = np.sort(values, axis=1)
    first = np.ones(values.shape, dtype=np.bool_)
    first[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    starts = np.flatnonzero(first)
    return starts // values.shape[1], ascending.ravel()[starts], np.diff(starts, append=values.size)


def _among(row: I64, value: NDArray[np.int32], known: I64) -> NDArray[np.bool_]:
    """Whether each value is one of its row's ``known`` [n, p].

    >>> _among(np.array([0, 1]), np.array([5, 5], np.int32), np.array([[5, -1], [6, -1]])).tolist()
    [True, False]
    """
    ascending = np.sort(known, axis=1) + (np.arange(len(known)) * _WIDE)[:, None]
    wanted = value + row * _WIDE
    places = np.minimum(np.searchsorted(ascending.ravel(), wanted), ascending.size - 1)
    return np.asarray(ascending.ravel()[places] == wanted, dtype=np.bool_)


def update(
    graph: Graph, vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer], *, old_rows: I64
) -> Graph:
    """The graph after a fold: ``old_rows`` [N] names each new row's old row, −1 for a chunk that came.

    What went is forgotten and its place filled from neighbours' neighbours; what came is searched for, and
    offered to the lists of those it found. Costs the new chunks and their neighbours, not the corpus.

    >>> rows = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> update(np.array([[1], [0]], np.int32), rows, np.array([0, 3]), old_rows=np.array([0, 1, -1])).tolist()
    [[1], [0], [1]]
    """
    k = graph.shape[1]
    renamed = _rename(graph, old_rows)
    holes = np.flatnonzero((old_rows >= 0) & (renamed < 0).any(axis=1))
    _repair(renamed, holes, vectors)
    fresh = np.flatnonzero(old_rows < 0)
    lists = _Lists(vectors, leaf_offsets, fresh, k)
    lists.fill(renamed, probes=PROBES, rounds=ROUNDS)
    found, near = lists.sorted()
    renamed[fresh] = found
    _offer(renamed, fresh, found, near, vectors)
    return renamed


def _means(vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer]) -> F32:
    blocks = (wide(vectors[a:b]) for a, b in pairwise(leaf_offsets.tolist()))
    return np.stack([block.sum(axis=0) / max(len(block), 1) for block in blocks])


def _rename(graph: Graph, old_rows: I64) -> Graph:
    """Old rows' lists in the new numbering; −1 for those gone, −1 lists for those that came."""
    names = np.full(len(graph) + 1, -1, dtype=np.int32)
    kept = np.flatnonzero(old_rows >= 0)
    names[old_rows[kept]] = kept
    renamed = np.full((len(old_rows), graph.shape[1]), -1, dtype=np.int32)
    renamed[kept] = names[graph[old_rows[kept]]]
    return renamed


def _repair(graph: Graph, rows: I64, vectors: NDArray[np.floating]) -> None:
    """Fill holes from neighbours' neighbours, in place."""
    k = graph.shape[1]
    for row in rows.tolist():
        near = graph[row][graph[row] >= 0]
        pool = np.union1d(near, graph[near].ravel())
        pool = pool[(pool >= 0) & (pool != row)]
        scores = cosines(vectors[[row]], vectors[pool])[0] if len(pool) else np.empty(0)
        best = pool[np.argsort(-scores, kind="stable")[:k]]
        graph[row] = -1
        graph[row, : len(best)] = best


def _offer(graph: Graph, rows: I64, found: Graph, near: F32, vectors: NDArray[np.floating]) -> None:
    """Put each new row into the lists of its neighbours where it is nearer than their last, in place; after
    those that are as near.
    """
    place, column = np.nonzero(found >= 0)
    friend, row, cosine = found[place, column], rows[place], near[place, column]
    wanted = cosine > _cosines(vectors, friend, graph[friend, -1:])[:, 0]
    wanted &= ~(graph[friend] == row[:, None]).any(axis=1)
    friends, which = np.unique(friend[wanted], return_inverse=True)
    held = graph[friends]
    graph[friends], _ = _merged(held, _cosines(vectors, friends, held), which, row[wanted], cosine[wanted])


def _merged(lists: Graph, nearness: F32, owner: I64, ids: I64, near: F32) -> tuple[Graph, F32]:
    """Each of ``lists`` [n, k] with the ``ids`` [m] that its row of ``owner`` [m] names: the nearest k, by
    falling cosine, what is as near as another after it. The cosines are ``nearness`` [n, k] and ``near`` [m].

    >>> lists, nearness = np.array([[4, 5]], np.int32), np.array([[0.9, 0.1]], np.float32)
    >>> _merged(lists, nearness, np.array([0]), np.array([7]), np.array([0.5], np.float32))[0].tolist()
    [[4, 7]]
    """
    n, k = lists.shape
    owners = np.concatenate([np.repeat(np.arange(n), k), owner])
    names = np.concatenate([lists.ravel(), ids.astype(np.int32)])
    cosines = np.concatenate([nearness.ravel(), near])
    order = np.lexsort((-cosines, owners))
    counts = k + np.bincount(owner, minlength=n)
    kept = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
    return names[kept], cosines[kept]


def _cosines(vectors: NDArray[np.floating], rows: NDArray[np.integer], others: Graph) -> F32:
    """The cosine of each of ``rows`` [n] with each of its ``others`` [n, m], −∞ where that is −1: [n, m]."""
    found = np.full(others.shape, -np.inf, dtype=np.float32)
    for at in range(0, len(rows), BLOCK):
        one = vectors[rows[at : at + BLOCK]]
        for column, ids in enumerate(others[at : at + BLOCK].T):
            near = pairs(one, vectors[np.maximum(ids, 0)])
            found[at : at + BLOCK, column] = np.where(ids >= 0, near, -np.inf)
    return found
