"""Freshness lag: how long after a change was accepted it was durable, and found by each way of searching."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

STEPS = ("durable", "lexical", "dense", "routed")
EDGES = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.06, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0),
)
"""Upper bounds in seconds: fine where single updates lie, coarse where folds do."""
POINTS = (50, 95, 99)

Freshness = Mapping[str, Mapping[str, object]]
"""Step → ``changes`` that reached it and ``waiting`` ones, ``p50``, ``p95``, ``p99`` and ``max`` in seconds,
and ``histogram``: ``counts`` below each of ``below`` and above the last.
"""


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
    """What ``Freshness`` says of these changes, with exact percentiles.

    >>> freshness([Change("a", 0.0, durable=0.002), Change("b", 0.0)])["durable"]["waiting"]
    1
    """
    return {step: _told(values, len(changes)) for step, values in lags(changes).items()}


def _told(values: list[float], total: int) -> dict[str, object]:
    sample, kept = np.array(values), Lags()
    for value in values:
        kept.add(value)
    marks = np.percentile(sample, POINTS).tolist() if values else [None] * len(POINTS)
    named = {f"p{point}": mark for point, mark in zip(POINTS, marks, strict=True)}
    return {**kept.told(waiting=total - len(values)), **named}


@dataclass(slots=True)
class Lags:
    """A histogram that only grows: ``counts`` [len(EDGES) + 1], the ``total`` seconds and the ``longest``."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    total: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float, *, changes: int = 1) -> None:
        """Count changes that took so long; a clock that was set back counts as no time."""
        seconds = max(0.0, seconds)
        self.counts[bisect_right(EDGES, seconds)] += changes
        self.total += seconds * changes
        self.longest = max(self.longest, seconds)

    @property
    def changes(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def percentile(self, point: float) -> float | None:
        """The lag that ``point`` % of the changes stay below, even spread within a bin supposed.

        >>> lags = Lags()
        >>> lags.add(0.015, changes=10)
        >>> round(lags.percentile(50), 4), Lags().percentile(50) is None
        (0.0125, True)
        """
        wanted, below = self.changes * point / 100, 0
        if not self.changes:
            return None
        edges = (0.0, *EDGES, max(self.longest, EDGES[-1]))
        for at, count in enumerate(self.counts):
            if count and below + count >= wanted:
                low, high = edges[at], min(edges[at + 1], self.longest)
                return min(high, low + (high - low) * (wanted - below) / count) if high > low else high
            below += count
        return self.longest

    def told(self, *, waiting: int) -> dict[str, object]:
        """One step of ``Freshness``, percentiles from the histogram."""
        return {
            "changes": self.changes,
            "waiting": waiting,
            **{f"p{point}": self.percentile(point) for point in POINTS},
            "max": self.longest if self.changes else None,
            "histogram": {"below": list(EDGES), "counts": list(self.counts)},
        }
