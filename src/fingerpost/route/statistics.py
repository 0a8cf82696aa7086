"""Leaf statistics: what a leaf's vectors say about a query before anything is trained.

For each leaf the mean μ, the spread σ(q) along a query and 8 sub-centroids. σ² comes from a rank-8 sketch
of the covariance plus the diagonal of what the sketch misses. All of it is running sums, so a chunk that
comes or goes costs one addition, no gradient step and no forgetting. The rule μ·q + δ·σ(q) is the
"optimist" of Bruch, Krishnan, Nardini and Vecchiato, NeurIPS 2025, arXiv:2405.12207.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.kmeans import F32, I64, balanced, group_sums, unit
from fingerpost.route.products import dots, product, wide

RANK = 8
CENTRES = 8


@dataclass(frozen=True)
class Statistics:
    """Running sums of L leaves over d dimensions.

    ``counts`` [L]; ``sums`` and ``squares`` [L, d]: Σx and Σx²; ``directions`` [L, RANK, d]: orthonormal,
    fixed until the next fold; ``projected`` [L, RANK]: Σ(u·x)²; ``centres`` [L, CENTRES, d]: sub-centroids,
    unit length.
    """

    counts: I64
    sums: F32
    squares: F32
    directions: F32
    projected: F32
    centres: F32

    @cached_property
    def mean(self) -> F32:
        """μ: [L, d]."""
        return np.asarray(self.sums / self._n, dtype=np.float32)

    @cached_property
    def variance(self) -> F32:
        """The diagonal of the covariance: [L, d]."""
        return np.asarray(np.maximum(self.squares / self._n - self.mean**2, 0.0), dtype=np.float32)

    @cached_property
    def typical(self) -> F32:
        """σ along a direction that nothing is known about, the root of the mean variance: [L]."""
        return np.asarray(np.sqrt(self.variance.mean(axis=1)), dtype=np.float32)

    @cached_property
    def spread(self) -> F32:
        """The variance along each direction of the sketch: [L, RANK]."""
        along = np.einsum("lrd,ld->lr", self.directions, self.mean)
        return np.asarray(np.maximum(self.projected / self._n - along**2, 0.0), dtype=np.float32)

    @cached_property
    def residual(self) -> F32:
        """The part of the diagonal that the sketch does not explain: [L, d]."""
        explained = np.einsum("lr,lrd->ld", self.spread, self.directions**2)
        return np.asarray(np.maximum(self.variance - explained, 0.0), dtype=np.float32)

    @property
    def _n(self) -> NDArray[np.float32]:
        return np.maximum(self.counts, 1)[:, None].astype(np.float32)

    def sigma(self, query: F32, leaves: I64) -> F32:
        """σ(q) of the given leaves: [len(leaves)]."""
        along = dots(self.directions[leaves], query)
        inner = dots(self.residual[leaves], query * query) + np.einsum(
            "lr,lr->l", along**2, self.spread[leaves]
        )
        return np.asarray(np.sqrt(np.maximum(inner, 0.0)), dtype=np.float32)

    def nearest_centre(self, query: F32, leaves: I64) -> F32:
        """The cosine of the best sub-centroid of the given leaves: [len(leaves)]."""
        return np.asarray(dots(self.centres[leaves], query).max(axis=1), dtype=np.float32)

    def batch(self, queries: F32) -> tuple[F32, F32, F32]:
        """μ·q, σ(q) and best sub-centroid for every query and leaf: three [m, L] arrays."""
        parts = [self._block(queries[at : at + 512]) for at in range(0, len(queries), 512)]
        mean, sigma, best = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, sigma, best

    def _block(self, queries: F32) -> tuple[F32, F32, F32]:
        leaves, rank, dim = self.directions.shape
        along = (queries @ self.directions.reshape(-1, dim).T).reshape(len(queries), leaves, rank)
        inner = (queries**2) @ self.residual.T + np.einsum("mlr,lr->ml", along**2, self.spread)
        centres = (queries @ self.centres.reshape(-1, dim).T).reshape(len(queries), leaves, -1)
        return queries @ self.mean.T, np.sqrt(np.maximum(inner, 0.0)), centres.max(axis=2)

    def changed(self, vectors: NDArray[np.floating], leaves: I64, *, sign: int) -> Statistics:
        """The statistics after chunks came (``sign`` = 1) or went (−1): O(d · RANK) a chunk."""
        rows = vectors.astype(np.float32)
        count = len(self.counts)
        along = np.einsum("nrd,nd->nr", self.directions[leaves], rows)
        return replace(
            self,
            counts=np.maximum(self.counts + sign * np.bincount(leaves, minlength=count), 0),
            sums=self.sums + sign * group_sums(rows, leaves, count),
            squares=self.squares + sign * group_sums(rows**2, leaves, count),
            projected=self.projected + sign * group_sums(along**2, leaves, count),
        )


def fit(vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer], *, seed: int = 0) -> Statistics:
    """Statistics of vectors [N, d] sorted by leaf; ``leaf_offsets`` [L+1].

    >>> rows = unit(np.random.default_rng(0).normal(size=(32, 4)))
    >>> fit(rows, np.array([0, 20, 32])).counts.tolist()
    [20, 12]
    """
    parts = [_leaf(block, seed) for block in _blocks(vectors, leaf_offsets)]
    sums, squares, directions, projected, centres = (np.stack(part) for part in zip(*parts, strict=True))
    return Statistics(np.diff(leaf_offsets).astype(np.int64), sums, squares, directions, projected, centres)


def _blocks(vectors: NDArray[np.floating], leaf_offsets: NDArray[np.integer]) -> Iterator[F32]:
    for start, end in pairwise(leaf_offsets.tolist()):
        yield wide(vectors[start:end])


def _leaf(rows: F32, seed: int) -> tuple[F32, F32, F32, F32, F32]:
    sums = rows.sum(axis=0)
    directions = _directions(rows - sums / max(len(rows), 1), seed)
    projected = (product(rows, directions.T) ** 2).sum(axis=0)
    return sums, (rows**2).sum(axis=0), directions, projected, _centres(rows, seed)


def _directions(rows: F32, seed: int) -> F32:
    """The widest directions by subspace iteration (Halko, Martinsson, Tropp 2011,
    doi:10.1137/090771806): [RANK, d].
    """
    dim = rows.shape[1]
    rank = min(RANK, dim)
    basis = _start(seed, dim, min(dim, rank + 4))
    for _ in range(3):
        basis, _ = np.linalg.qr(product(rows.T, product(rows, basis)) + 1e-9 * basis)
    _, _, rotation = np.linalg.svd(product(rows, basis), full_matrices=False)
    found = np.zeros((RANK, dim), dtype=np.float32)
    top = (basis @ rotation.T).T[:rank]
    found[: len(top)] = top
    return found


@cache
def _start(seed: int, dim: int, count: int) -> F32:
    """The directions that every leaf begins with: [dim, count]."""
    return np.random.default_rng(seed).normal(size=(dim, count)).astype(np.float32)


def _centres(rows: F32, seed: int) -> F32:
    """Sub-centroids; a leaf of few rows repeats its last one."""
    if not len(rows):
        return np.zeros((CENTRES, rows.shape[1]), dtype=np.float32)
    centres, _ = balanced(unit(rows), min(CENTRES, len(rows)), seed=seed, iterations=5)
    return np.concatenate([centres, np.repeat(centres[-1:], CENTRES - len(centres), axis=0)])
