"""The neighbour graph: the 16 nearest chunks of each chunk, built leaf by leaf and kept as chunks come and
go.

Exact search would multiply every chunk with every other. Here the chunks of a leaf are compared, in one
product, with those of the ``PROBES`` leaves that its members' nearest means vote for. A row of the graph
holds row numbers by falling similarity, −1 where there is none.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.kmeans import F32, I64

DEGREE = 16
PROBES = 24
Graph = NDArray[np.int32]


def neighbours(
    vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer], *, k: int = DEGREE, probes: int = PROBES
) -> Graph:
    """The graph of vectors [N, d] sorted by leaf: [N, k] int32, a chunk is never its own neighbour.

    >>> rows = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> neighbours(rows, np.array([0, 3]), k=2)[0].tolist()
    [1, 2]
    """
    means = _means(vectors, leaf_offsets)
    graph = np.full((len(vectors), k), -1, dtype=np.int32)
    for start, end in pairwise(leaf_offsets.tolist()):
        rows = np.arange(start, end)
        if len(rows):
            graph[start:end] = _search(vectors, rows, leaf_offsets, means=means, k=k, probes=probes)[0]
    return graph


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
    means = _means(vectors, leaf_offsets)
    leaf_of = np.searchsorted(leaf_offsets[1:], fresh, side="right")
    for leaf in np.unique(leaf_of):
        rows = fresh[leaf_of == leaf]
        found, near = _search(vectors, rows, leaf_offsets, means=means, k=k, probes=PROBES)
        renamed[rows] = found
        _offer(renamed, rows, found, near, vectors)
    return renamed


def _means(vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer]) -> F32:
    blocks = (vectors[a:b].astype(np.float32) for a, b in pairwise(leaf_offsets.tolist()))
    return np.stack([block.sum(axis=0) / max(len(block), 1) for block in blocks])


def _search(
    vectors: NDArray[np.floating],
    rows: I64,
    leaf_offsets: NDArray[np.integer],
    *,
    means: F32,
    k: int,
    probes: int,
) -> tuple[Graph, F32]:
    """The k nearest others of ``rows`` (all of one leaf) in the leaves they vote for, and their cosines."""
    own = vectors[rows].astype(np.float32)
    leaves = _vote(own @ means.T, probes)
    pool = np.concatenate([np.arange(leaf_offsets[leaf], leaf_offsets[leaf + 1]) for leaf in leaves])
    scores = own @ vectors[pool].astype(np.float32).T
    scores[rows[:, None] == pool[None, :]] = -np.inf
    width = min(k, len(pool))
    top = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    near = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-near, axis=1, kind="stable")
    near = np.take_along_axis(near, order, axis=1)
    found = np.full((len(rows), k), -1, dtype=np.int32)
    found[:, :width] = np.where(np.isfinite(near), pool[np.take_along_axis(top, order, axis=1)], -1)
    full = np.full((len(rows), k), -np.inf, dtype=np.float32)
    full[:, :width] = near
    return found, full


def _vote(scores: F32, probes: int) -> I64:
    """The leaves that most rows have among their best eight (ties: the nearer mean)."""
    leaves = scores.shape[1]
    if leaves <= probes:
        return np.arange(leaves)
    top = np.argpartition(-scores, 7, axis=1)[:, :8]
    votes = np.bincount(top.ravel(), minlength=leaves) + 1e-3 * scores.mean(axis=0)
    return np.sort(np.argpartition(-votes, probes - 1)[:probes])


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
        scores = vectors[pool].astype(np.float32) @ vectors[row].astype(np.float32)
        best = pool[np.argsort(-scores, kind="stable")[:k]]
        graph[row] = -1
        graph[row, : len(best)] = best


def _offer(graph: Graph, rows: I64, found: Graph, near: F32, vectors: NDArray[np.floating]) -> None:
    """Put each new row into the lists of its neighbours where it is nearer than their last, in place."""
    for row, friends, cosines in zip(rows.tolist(), found, near, strict=True):
        for friend, cosine in zip(friends[friends >= 0].tolist(), cosines.tolist(), strict=False):
            theirs = graph[friend]
            listed = theirs[theirs >= 0]
            if row in listed:
                continue
            scores = vectors[listed].astype(np.float32) @ vectors[friend].astype(np.float32)
            at = int(np.searchsorted(-scores, -cosine, side="right"))
            graph[friend] = np.pad(np.insert(listed, at, row), (0, len(theirs)), constant_values=-1)[
                : len(theirs)
            ]
