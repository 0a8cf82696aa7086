"""Drift: when the router has grown old, and when it must switch itself off."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p

from fingerpost.records import Report

STALE = 0.1
"""Share of chunks newer than the epoch at which training again is advised."""
LEAST = 30
"""Audits before they may judge."""
MOST = 2_000
"""Audits that count; beyond, half of the weight goes to newer ones, so that no good past hides a bad day."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Live queries that were also searched in full: how many, and the sum of their recalls (each 0–1)."""

    queries: int = 0
    recall_sum: float = 0.0

    @classmethod
    def checked(cls, queries: int, recall_sum: float) -> Audit:
        """As many. Raises ValueError for sums that no audits have."""
        if type(queries) is not int or not 0 <= queries <= MOST or not 0 <= recall_sum <= queries:
            raise ValueError(f"{queries!r} audits of recall {recall_sum!r} in all")
        return cls(queries, float(recall_sum))

    def added(self, recall: float) -> Audit:
        """One more audited query.

        >>> Audit().added(1.0).added(0.5).recall
        0.75
        """
        queries, total = self.queries, self.recall_sum
        if queries >= MOST:
            queries, total = queries // 2, total * (queries // 2) / queries
        return Audit(queries + 1, total + min(max(recall, 0.0), 1.0))

    @property
    def recall(self) -> float:
        """The mean recall; 1 before the first audit."""
        return self.recall_sum / self.queries if self.queries else 1.0

    def bounds(self, *, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper–Pearson bounds of the recall (1934, doi:10.1093/biomet/26.4.404).

        Recalls between 0 and 1 spread less than hits and misses do, so the bounds are on the safe side.
        """
        return clopper_pearson(self.recall_sum, self.queries, confidence=confidence)

    def verdict(self, target: float) -> str:
        """Why the router must switch off, or "" while nothing speaks against it.

        >>> Audit(100, 70.0).verdict(0.9)
        'audits found recall 0.70 of 100 queries, target 0.90'
        >>> Audit(100, 88.0).verdict(0.9)
        ''
        """
        if self.queries < LEAST or self.bounds()[1] >= target:
            return ""
        return f"audits found recall {self.recall:.2f} of {self.queries} queries, target {target:.2f}"


def clopper_pearson(hits: float, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact bounds of a share after ``hits`` of ``count``; hits may be a fraction.

    >>> [round(bound, 4) for bound in clopper_pearson(8, 10)]
    [0.4439, 0.9748]
    """
    if count == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits <= 0 else _quantile(tail, hits, count - hits + 1)
    high = 1.0 if hits >= count else _quantile(1 - tail, hits + 1, count - hits)
    return low, high


def advice(*, newer: int, chunks: int, audit: Audit, target: float) -> Report:
    """Whether to train again, where ``newer`` chunks came after what was learned: counts and notes in words.

    >>> advice(newer=300, chunks=1000, audit=Audit(), target=0.9).notes
    ('30% of the chunks are newer than the lesson: run `fingerpost learn`',)
    """
    share = newer / chunks if chunks else 0.0
    low, high = audit.bounds()
    notes = []
    if share > STALE:
        notes.append(f"{share:.0%} of the chunks are newer than the lesson: run `fingerpost learn`")
    if audit.verdict(target):
        notes.append(f"{audit.verdict(target)}: routing is off until `fingerpost learn`")
    counts = {"newer_share": share, "audits": audit.queries, "recall": audit.recall, "low": low, "high": high}
    return Report(counts=counts, notes=tuple(notes))


def _quantile(level: float, a: float, b: float) -> float:
    """The x at which the Beta(a, b) distribution reaches ``level``, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beta(middle, a, b) < level else (low, middle)
    return (low + high) / 2


def beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function by Lentz's continued fraction (DLMF 8.17.22).

    >>> round(beta(0.5, 2.0, 2.0), 6)
    0.5
    """
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 200):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / _apart(1 + term * d), _apart(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-13:
            break
    return front * value


def _apart(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
