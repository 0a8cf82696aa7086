"""Balanced spherical k-means: the one clustering that addresses and leaf statistics share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.products import F32 as F32
from fingerpost.route.products import dots, product, wide

I64 = NDArray[np.int64]

ITERATIONS = 12
BALANCE = 0.02
"""Cosine that a cluster of twice the mean size gives up in each round."""
_FEW = 32
"""Labels up to which sums are a product with their marks: that is up to eight times as fast."""


def unit(vectors: NDArray[np.floating]) -> F32:
    """Rows scaled to length 1, float32; zero rows stay zero.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    rows = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), dtype=np.float32)


def group_sums(rows: F32, labels: I64, count: int) -> F32:
    """The sum of the rows of each label: [count, d] float32.

    >>> group_sums(np.eye(3, dtype=np.float32), np.array([1, 1, 0]), 2).tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    if count <= _FEW:
        return product((np.arange(count)[:, None] == labels).astype(np.float32), rows)
    sums = np.zeros((count, rows.shape[1]), dtype=np.float32)
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    sums[present] = np.add.reduceat(rows[order], starts, axis=0)
    return sums


def balanced(rows: F32, count: int, *, seed: int, iterations: int = ITERATIONS) -> tuple[F32, I64]:
    """Centroids [count, d] (unit length) and labels [n] of balanced spherical k-means.

    Each round, clusters above the mean size pay a small price in cosine and those below get one back
    (frequency-sensitive competitive learning, Banerjee & Ghosh 2004, doi:10.1109/TNN.2004.824416), so the
    sizes even out without a hard assignment problem. Deterministic for a seed.

    >>> rows = unit(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]))
    >>> sorted(np.bincount(balanced(rows, 2, seed=0)[1]).tolist())
    [2, 2]
    """
    if count <= 1 or len(rows) <= count:
        labels = np.minimum(np.arange(len(rows)), count - 1) if count > 1 else np.zeros(len(rows), np.int64)
        return unit(group_sums(rows, labels, count)), labels.astype(np.int64)
    centroids = _spread_start(rows, count, seed)
    price = np.zeros(count, dtype=np.float32)
    labels = np.zeros(len(rows), dtype=np.int64)
    for _ in range(iterations):
        labels = nearest(rows, centroids, price)
        sizes = np.bincount(labels, minlength=count)
        sums = group_sums(rows, labels, count)
        centroids = np.where(sizes[:, None] > 0, unit(sums), centroids).astype(np.float32)
        price += surcharge(sizes)
    return centroids, labels


def surcharge(sizes: NDArray[np.integer]) -> F32:
    """What clusters of these sizes [count] pay more in the next round; below the mean size they get it back.

    >>> surcharge(np.array([2, 1, 0])).round(3).tolist()
    [0.019999999552965164, 0.0, -0.019999999552965164]
    """
    excess = sizes * len(sizes) / sizes.sum() - 1.0
    return np.asarray(BALANCE * np.clip(excess, -1.0, 1.0).astype(np.float32))


def nearest(rows: NDArray[np.floating], centroids: F32, price: F32 | None = None) -> I64:
    """The index of the centroid with the largest ``row · centroid − price``, blocked: [n] int64.

    >>> nearest(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)).tolist()
    [0, 1]
    """
    labels = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), 8192):
        scores = product(wide(rows[start : start + 8192]), centroids.T)
        labels[start : start + 8192] = np.argmax(scores if price is None else scores - price, axis=1)
    return labels


def _spread_start(rows: F32, count: int, seed: int) -> F32:
    """First centroids: k-means++ on a small sample, so that clusters start apart."""
    random = np.random.default_rng(seed)
    sample = rows[random.permutation(len(rows))[: max(count * 16, 256)]]
    best = np.full(len(sample), -1.0, dtype=np.float32)
    chosen = [int(random.integers(len(sample)))]
    while len(chosen) < count:
        best = np.maximum(best, dots(sample, sample[chosen[-1]]))
        gap = np.clip(1.0 - best.astype(np.float64), 0.0, None)
        total = float(gap.sum())
        draw = random.random()
        at = int(np.searchsorted(np.cumsum(gap), draw * total)) if total > 1e-6 else len(chosen)
        chosen.append(min(at, len(sample) - 1))
    return sample[chosen].copy()
