"""Document keys through time: what was learned of a document goes on for the version that takes its place."""

from __future__ import annotations

from collections.abc import Mapping

from fingerpost.route.kmeans import I64

GONE = -1
"""The key of a document that was deleted."""


def succeeded(keys: I64, successors: Mapping[int, int | None]) -> I64:
    """The keys after documents were replaced: each new version has its document's place, and GONE stands
    where one was deleted. ``successors`` come oldest first.

    >>> import numpy as np
    >>> succeeded(np.array([3, 5, 8]), {3: 9, 9: 11, 8: None}).tolist()
    [11, 5, -1]
    """
    place = {key: at for at, key in enumerate(keys.tolist())}
    after = keys.copy()
    for old, new in successors.items():
        if (at := place.pop(old, None)) is not None:
            after[at] = GONE if new is None else new
            if new is not None:
                place[new] = at
    return after
