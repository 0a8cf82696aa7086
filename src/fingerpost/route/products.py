"""Products that stay on the thread that asks.

BLAS hands a product of a matrix with a vector to all cores once the matrix has some ten thousand elements,
one of two matrices from a quarter of a million multiplications on, and its threads wait for each other
busily: beside other work a plan then takes three times the processor time and far longer by the clock, and a
fold beside a busy encoder a third more. One query, or one leaf, is too little work to share.
"""

from __future__ import annotations

import numkong
import numpy as np
import simsimd
from numpy.typing import NDArray

F32 = NDArray[np.float32]

ALONE = 262_144
"""Multiplications up to which OpenBLAS stays on the thread that asked."""


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


def product(left: F32, right: F32) -> F32:
    """``left`` [n, m] @ ``right`` [m, p], a few rows of ``left`` at a time. Where even two rows are more than
    ``ALONE`` multiplications, all at once and on all cores: that is work to share.

    >>> product(np.ones((3, 2), np.float32), np.eye(2, dtype=np.float32)).shape
    (3, 2)
    """
    rows = ALONE // max(right.size, 1)
    if rows >= len(left) or rows < 2:
        return np.asarray(left @ right)
    found = np.empty((len(left), right.shape[1]), dtype=np.float32)
    for at in range(0, len(left), rows):
        np.matmul(left[at : at + rows], right, out=found[at : at + rows])
    return found


def cosines(rows: NDArray[np.floating], others: NDArray[np.floating]) -> F32:
    """Every one of the unit ``rows`` [n, d] with every one of ``others`` [m, d], neither of them empty:
    [n, m]. Of float16 as fast as BLAS of float32.

    >>> cosines(np.eye(2, dtype=np.float16), np.eye(2, dtype=np.float16)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return np.asarray(numkong.dots_packed(rows, numkong.dots_pack(others)), dtype=np.float32)


def pairs(rows: NDArray[np.floating], others: NDArray[np.floating]) -> F32:
    """Each of the unit ``rows`` [n, d] with its own of ``others`` [n, d]: [n].

    >>> pairs(np.eye(2, dtype=np.float16), np.ones((2, 2), np.float16)).tolist()
    [1.0, 1.0]
    """
    if not len(rows):
        return np.zeros(0, dtype=np.float32)
    return np.asarray(numkong.dot(rows, others), dtype=np.float32)


def wide(rows: NDArray[np.floating]) -> F32:
    """Rows as float32. numpy takes eight times as long for float16.

    >>> wide(np.array([[0.5, -2.0]], dtype=np.float16)).tolist()
    [[0.5, -2.0]]
    """
    if rows.dtype != np.float16:
        return rows.astype(np.float32, copy=False)
    return np.asarray(numkong.astype(rows, "float32"))
