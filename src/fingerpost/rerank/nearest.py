"""The nearest centroid of every subspace, in whole numbers that float32 multiplies without rounding.

Residuals are rounded to a sixteenth of the codebook's int8 step. The nearest centroid is then the argmax of
``16 r·c - 8 |c|²`` over whole numbers below 2^24: the same by whichever product, on whichever processor and
in whatever company, which frees the choice of the fastest. A block of rows stays below the size at which
BLAS wakes its other threads: that takes longer than the block where the cores are busy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Steps = NDArray[np.int8]

FINE = 16
"""Parts of a codebook's step to which residuals are rounded."""
_ALONE = 262_144
"""Multiplications up to which OpenBLAS stays on the thread that asked."""


def tables(codebook: Steps) -> Floats:
    """What ``nearest`` multiplies with, [subspaces, size + 1, centroids]: the centroids of a codebook
    [subspaces, centroids, size], and below them what their lengths take off.
    """
    books = codebook.astype(np.float32)
    lengths = (books * books).sum(axis=2, keepdims=True)
    return np.ascontiguousarray(np.concatenate([books, lengths * (-FINE / 2)], axis=2).transpose(0, 2, 1))


def nearest(rest: Floats, books: Floats) -> NDArray[np.uint8]:
    """The centroid nearest to every part of residuals [t, dims] in ``1 / FINE`` steps, [t, subspaces]; the
    first of equally near ones. ``books`` are the codebook's ``tables``.

    >>> books = tables(np.array([[[0, 0], [4, 4]], [[1, 0], [0, 1]]], np.int8))
    >>> nearest(np.array([[33, 33, 0, 16]], np.float32), books)
    array([[1, 1]], dtype=uint8)
    """
    subspaces, size, centroids = books.shape
    rows = max(_ALONE // (size * centroids), 1)
    parts = np.ones((len(rest), subspaces, size), np.float32)  # the last column takes the lengths off
    parts[:, :, :-1] = rest.reshape(len(rest), subspaces, size - 1)
    parts = parts.transpose(1, 0, 2)
    products = np.empty((subspaces, min(rows, len(rest)), centroids), np.float32)
    found = np.empty((len(rest), subspaces), np.uint8)
    for at in range(0, len(rest), rows):
        block = parts[:, at : at + rows]
        scores = np.matmul(block, books, out=products[:, : block.shape[1]])
        found[at : at + rows] = scores.argmax(axis=2).T
    return found
