"""Inner products of one query with many rows, on the thread that asks.

BLAS hands a product of a matrix with a vector to all cores once the matrix has some ten thousand elements,
and its threads wait for each other busily: beside other processes a plan then takes three times the
processor time and far longer by the clock. One query is too little work to share.
"""

from __future__ import annotations

import numpy as np
import simsimd

from fingerpost.route.kmeans import F32


def dots(rows: F32, query: F32) -> F32:
    """Rows [..., d] with a query [d], both float32: [...].

    >>> dots(np.eye(2, dtype=np.float32), np.array([3.0, 4.0], dtype=np.float32)).tolist()
    [3.0, 4.0]
    """
    if not rows.size:
        return np.zeros(rows.shape[:-1], dtype=np.float32)
    flat = rows.reshape(-1, rows.shape[-1])
    found = simsimd.cdist(query[None], flat, metric="dot", out_dtype="float32")
    return np.asarray(found, dtype=np.float32).reshape(rows.shape[:-1])
