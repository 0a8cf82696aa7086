"""How equal scores are ordered: by what a chunk is, never by when it came.

Chunk keys count writes, so an index that grew by updates would rank equals otherwise than one compiled from
the same documents. A tie is a number that both give a chunk: a digest of the document's id, then the chunk's
place in the document, so that equal chunks of one document stand in its order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fingerpost.store.digest import digest

Ties = NDArray[np.uint64]
PLACES = 1 << 20
"""Chunks of a document that are told apart; those beyond stand in the order of their keys."""


def first(doc_id: str) -> int:
    """The tie of a document's first chunk; the others follow.

    >>> first("a") % PLACES, first("a") == first("b")
    (0, False)
    """
    return int.from_bytes(digest(doc_id), "big") // PLACES * PLACES


def ties(firsts: Ties, places: NDArray[np.int64]) -> Ties:
    """The ties of chunks [n]: that of each one's document, and its place there from 0.

    >>> ties(np.array([0, PLACES], np.uint64), np.array([3, 2 * PLACES])).tolist() == [3, 2 * PLACES - 1]
    True
    """
    return firsts + np.minimum(places, PLACES - 1).astype(np.uint64)
