"""What the router promises of its likeliest leaf, beside what lies there, for questions of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import FingerpostError
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering
from fingerpost.text import query as queries

ASKED = 300
"""Questions, evenly drawn: each costs an encoding and a search in full."""
NEAREST = 10


def of_leaves(rooms: Rooms, texts: Sequence[str], principals: Sequence[str]) -> NDArray[np.float64]:
    """For each question drawn the chance of the likeliest leaf, and the share of the nearest chunks that lie
    there, [m, 2]; chunks newer than the leaves do not count. No rows where there is no router.
    """
    snapshot = rooms.store.snapshot()
    epoch = rooms.epoch(snapshot)
    encoder, router = rooms.asking(epoch), epoch.router
    if encoder is None or router is None or router.n_leaves < 2 or rooms.settings.store.isolation == "strict":
        return np.zeros((0, 2))
    allow, rows = snapshot.allow(None, principals), []
    for at in np.unique(np.linspace(0, len(texts) - 1, min(ASKED, len(texts))).astype(np.int64)).tolist():
        try:
            query = queries.parse(texts[at])
        except FingerpostError:
            continue
        vector = encoder.encode_query(query.text).vector
        scores = router.score(vector, gathering.leaf_votes(snapshot, router, query, allow))
        near = snapshot.leaf_of(snapshot.dense(vector, k=NEAREST, allow=allow)[0])
        best = int(scores.argmax())
        if (near >= 0).any():
            rows.append((float(router.chances(scores)[best]), float((near[near >= 0] == best).mean())))
    return np.array(rows, dtype=np.float64).reshape(-1, 2)
