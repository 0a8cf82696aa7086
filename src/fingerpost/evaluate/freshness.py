"""Freshness lag: how long after a change was accepted it was durable, and found by each way of searching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

STEPS = ("durable", "lexical", "dense", "routed")
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, slots=True)
class Change:
    """One accepted change; times are seconds of one clock that never goes back. None: not (yet) reached."""

    doc_id: str
    accepted: float
    durable: float | None = None
    lexical: float | None = None
    dense: float | None = None
    routed: float | None = None


def lags(changes: Iterable[Change]) -> dict[str, list[float]]:
    """Seconds from acceptance to each step, for the changes that reached it.

    >>> lags([Change("a", 1.0, durable=1.5)])["durable"]
    [0.5]
    """
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    for change in changes:
        reached = (change.durable, change.lexical, change.dense, change.routed)
        for step, at in zip(STEPS, reached, strict=True):
            if at is not None:
                found[step].append(at - change.accepted)
    return found


def freshness(changes: Sequence[Change]) -> dict[str, dict[str, object]]:
    """Per step: how many changes reached it and how many wait, p50, p95, p99 and the longest lag in
    seconds, and a histogram of counts below each of ``EDGES`` and above the last.

    >>> freshness([Change("a", 0.0, durable=0.002), Change("b", 0.0)])["durable"]["waiting"]
    1
    """
    return {step: _told(values, len(changes)) for step, values in lags(changes).items()}


def _told(values: list[float], total: int) -> dict[str, object]:
    sample = np.array(values)
    points = (50, 95, 99)
    marks = np.percentile(sample, points).tolist() if values else [None] * len(points)
    bins = np.bincount(np.searchsorted(EDGES, sample, side="right"), minlength=len(EDGES) + 1)
    return {
        "changes": len(values),
        "waiting": total - len(values),
        **{f"p{point}": mark for point, mark in zip(points, marks, strict=True)},
        "max": float(sample.max()) if values else None,
        "histogram": {"below": list(EDGES), "counts": bins.tolist()},
    }
