"""BM25 as Lucene and tantivy compute it, so that the tail's scores are comparable with the base's.

score(t, d) = idf(t) · (k1 + 1) · tf / (tf + k1 · (1 − b + b · |d| / avgdl)), with |d| rounded down to one of
256 lengths as Lucene's norms are (Robertson & Zaragoza 2009, doi:10.1561/1500000019; SmallFloat.intToByte4).
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

K1, B = 1.2, 0.75
CODE_BOOST = 2.0
"""How much a match of a whole identifier or error code counts against a word."""

BODY, CODE = "body", "code"
FIELDS = (BODY, CODE)


def _lengths() -> NDArray[np.int64]:
    small = [bits if bits < 8 else 8 | bits & 7 for bits in range(16)]
    exact = 24
    values = list(range(exact)) + [exact + value for value in small]
    shift = 1
    while len(values) < 256:
        values += [exact + ((8 | bits) << shift) for bits in range(8)]
        shift += 1
    return np.array(values[:256], dtype=np.int64)


LENGTHS = _lengths()


def quantized(length: int) -> int:
    """The length that a document of ``length`` terms counts as.

    >>> [quantized(n) for n in (0, 39, 40, 41, 55, 57, 1000)]
    [0, 39, 40, 40, 54, 56, 984]
    """
    return int(LENGTHS[int(np.searchsorted(LENGTHS, length, side="right")) - 1])


def idf(total: int, containing: int) -> float:
    """ln(1 + (N − n + ½) / (n + ½)).

    >>> round(idf(1000, 10), 3)
    4.557
    """
    return log(1.0 + (total - containing + 0.5) / (containing + 0.5))


def gains(counts: NDArray[np.int32], lengths: NDArray[np.float32], *, average: float) -> NDArray[np.float32]:
    """What idf is multiplied with: float32 [n] from term counts [n] and document lengths [n]."""
    tf = counts.astype(np.float32)
    norm = K1 * (1.0 - B + B * lengths / max(average, 1e-9))
    return ((K1 + 1.0) * tf / (tf + norm)).astype(np.float32)
