"""A passage says the same word again and again: its vectors, where they are alike, need to be kept only once.

MaxSim asks for the best match alone, and what one of two alike vectors matches the other matches as well.
Pooling whichever tokens are alike (Clavié et al. 2024, arXiv:2409.14683) would mix word pieces, whose means
the codec subtracts; repeats of one piece keep theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pieces = NDArray[np.int32]


def once(vectors: Floats, pieces: Pieces, *, alike: float) -> tuple[Floats, Pieces]:
    """Unit vectors [t, d] of a passage and their word pieces [t], with repeats of a piece whose cosine to an
    earlier one is at least ``alike`` put into that one, as their mean of length one. Above 1: all are kept.

    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]], np.float32)
    >>> once(vectors, np.array([7, 8, 7], np.int32), alike=0.7)[0].astype(float).round(2).tolist()
    [[0.95, 0.32], [0.0, 1.0]]
    """
    if alike > 1:
        return vectors, pieces
    known, counts = np.unique(pieces, return_counts=True)
    if len(known) == len(pieces):
        return vectors, pieces
    kept, merged = np.ones(len(pieces), np.bool_), vectors.copy()
    for piece in known[counts > 1]:
        rest = np.flatnonzero(pieces == piece)
        while len(rest) > 1:
            near = (vectors[rest] * vectors[rest[0]]).sum(axis=1) >= alike
            near[0] = True
            merged[rest[0]] = _unit(vectors[rest[near]].sum(axis=0))
            kept[rest[near][1:]] = False
            rest = rest[~near]
    return merged[kept], pieces[kept]


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.sqrt((vector * vector).sum())), 1e-9), np.float32)
