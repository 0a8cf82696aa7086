"""How a codec's subspaces are learned: directions dealt out among them, and the centroids of each.

Eigenvalue allocation, doi:10.1109/TPAMI.2013.240; k-means by Lloyd's rounds, doi:10.1109/TIT.1982.1056489.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CENTROIDS = 256
SAMPLE = 12_800
"""Vectors that k-means sees: 50 a centroid; twice as many changed no ranking."""
ROUNDS = 8


def rotation(centred: Floats, rest: Floats, *, dims: int, count: int) -> Floats:
    """[d, dims]: where the tokens [t, d] vary most, turned to the axes of the ``rest`` [t, d] that their
    pieces do not explain. The axes are dealt to ``count`` subspaces so that the products of their variances
    are alike.
    """
    _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    widest = vectors[:, ::-1][:, :dims]
    values, axes = np.linalg.eigh((rest @ widest).T @ (rest @ widest) / len(rest))
    dealt = _dealt(values[::-1], count)
    return np.ascontiguousarray(widest @ axes[:, ::-1][:, dealt], dtype=np.float32)


def _dealt(variances: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """The axes, widest first, each given to the subspace with the least product of variances so far."""
    size = len(variances) // count
    logs = np.log(np.maximum(variances, 1e-12))
    logs -= logs.min()  # every axis adds, so that the fullest subspace is never the emptiest
    held: list[list[int]] = [[] for _ in range(count)]
    weight = np.zeros(count)
    for axis, log in enumerate(logs):
        free = [at for at in range(count) if len(held[at]) < size]
        target = min(free, key=lambda at: weight[at])
        held[target].append(axis)
        weight[target] += log
    return np.concatenate(held).astype(np.intp)


def centroids(vectors: Floats, rng: np.random.Generator) -> Floats:
    """256 centroids by Lloyd's rounds; a centroid that nothing is near stays where it was."""
    sample = vectors[rng.permutation(len(vectors))[:SAMPLE]]
    found = sample[np.arange(CENTROIDS) % len(sample)].copy()
    for _ in range(ROUNDS):
        nearest = _assign(sample, found)
        counts = np.bincount(nearest, minlength=CENTROIDS)
        for dim in range(sample.shape[1]):
            sums = np.bincount(nearest, weights=sample[:, dim], minlength=CENTROIDS)
            found[:, dim] = np.where(counts, sums / np.maximum(counts, 1), found[:, dim])
    return found


def _assign(vectors: Floats, centroids: Floats) -> NDArray[np.intp]:
    nearest: NDArray[np.intp] = (vectors @ centroids.T - _half_norms(centroids)).argmax(axis=1)
    return nearest


def _half_norms(centroids: Floats) -> Floats:
    return np.asarray((centroids * centroids).sum(axis=1) / 2, np.float32)
