"""Audits: a share of routed queries is also searched in full, and the router answers for what it missed."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import Epoch
from fingerpost.index.rooms import Rooms
from fingerpost.records import Plan
from fingerpost.retrieve.legs import Gathered
from fingerpost.store.permits import Allow
from fingerpost.store.snapshot import Snapshot

TOP = 10
"""The exhaustive hits that a routed search should have among its candidates."""


def due(rooms: Rooms, plan: Plan, text: str) -> bool:
    """Whether this query is one of the audited share: by its own text, so that a replay audits the same."""
    share = rooms.settings.route.audit
    return not plan.full and crc32(text.encode()) < share * 2**32


def audit(
    rooms: Rooms,
    epoch: Epoch,
    snapshot: Snapshot,
    vector: NDArray[np.float32],
    gathered: Gathered,
    allow: Allow | None,
) -> float:
    """The share of the exhaustive top hits that the routed search had too; kept with the epoch's audits."""
    best, _, _ = snapshot.dense(vector, k=TOP, allow=allow)
    recall = float(np.isin(best, gathered.candidates.keys).mean()) if len(best) else 1.0
    rooms.audits.add(rooms.audited(epoch), recall)
    return recall
