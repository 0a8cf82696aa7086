"""Calibration: probabilities that mean what they say, and when not to trust the router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.kmeans import F32, I64
from fingerpost.route.memory import Memory, energy
from fingerpost.route.router import UNCALIBRATED, Calibration, Router, softmax
from fingerpost.route.train import Examples, batch_scores

UNFAMILIAR = 1.0
"""Percentile of the calibration queries below which a query counts as out of distribution."""
KEPT = 0.99
"""Share of the queries like those it was taught that a memory must take for its own."""
SHARES = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.5, 1.0)
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising step function from scores to probabilities: ``scores`` [n] rising, ``chances`` [n] rising."""

    scores: F64
    chances: F64

    def __call__(self, values: NDArray[np.floating]) -> F64:
        """The probability of each value, between the steps by a straight line."""
        return np.asarray(np.interp(values, self.scores, self.chances), dtype=np.float64)


def isotonic(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> Isotonic:
    """Pool adjacent violators (Barlow et al. 1972; Zadrozny and Elkan 2002, doi:10.1145/775047.775151).

    >>> isotonic(np.array([0.1, 0.2, 0.3]), np.array([False, True, True]))(np.array([0.0, 0.3])).tolist()
    [0.0, 1.0]
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[tuple[float, int, float]] = []
    for score, hit in zip(np.asarray(scores)[order].tolist(), np.asarray(right)[order].tolist(), strict=True):
        blocks.append((float(hit), 1, score))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            (a, n, x), (b, m, y) = blocks[-2:]
            blocks[-2:] = [(a + b, n + m, (x * n + y * m) / (n + m))]
    return Isotonic(np.array([x for _, _, x in blocks]), np.array([a / n for a, n, _ in blocks]))


def temperature(logits: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """The T that makes softmax(logits / T) most likely given the labels [m, L], rows that sum to 1 (golden
    section over log T).

    Guo et al. 2017, arXiv:1706.04599.

    >>> round(temperature(np.array([[2.0, 0.0]]), np.array([[0.75, 0.25]])), 1)
    1.8
    """
    wide, right = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)

    def loss(log_t: float) -> float:
        scaled = wide / np.exp(log_t)
        top = scaled.max(axis=1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((total - (scaled * right).sum(axis=1)).mean())

    low, high, ratio = -5.0, 5.0, (5**0.5 - 1) / 2
    for _ in range(60):
        left, middle = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, middle) if loss(left) < loss(middle) else (left, high)
    return float(np.exp((low + high) / 2))


def expected_error(
    chances: NDArray[np.floating], right: NDArray[np.bool_] | NDArray[np.floating], *, bins: int = 15
) -> float:
    """Expected calibration error: |chance − share right|, averaged over equally filled bins.

    >>> expected_error(np.array([1.0, 1.0]), np.array([True, False]), bins=1)
    0.5
    """
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(np.mean(chances[p])) - float(np.mean(right[p]))) * len(p) for p in parts]
    return float(sum(gaps) / len(order))


def auroc(inside: NDArray[np.floating], outside: NDArray[np.floating]) -> float:
    """The chance that an inside score exceeds an outside one (ties half).

    >>> auroc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    both = np.concatenate([inside, outside])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    count = len(inside)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(outside)))


def with_scope(memory: Memory, queries: F32, fold: I64, memories: Sequence[Memory]) -> Memory:
    """The memory with the energy that ``KEPT`` of its own training queries [m, d] have, each judged by the
    memory of its fold, which never saw it, with the rows put back that were withheld from it. At most the
    rest of such queries is taken for strangers. Those of no fold (-1) say nothing.
    """
    if not len(memory.keys):
        return memory
    own = np.concatenate([energy(_whole(one, memory), queries[fold == n]) for n, one in enumerate(memories)])
    return replace(memory, familiar=float(np.quantile(own, 1 - KEPT)))


def _whole(judge: Memory, memory: Memory) -> Memory:
    """A memory with the rows of the documents that were withheld from it: for ``energy`` alone."""
    back = memory.rows[np.isin(memory.keys, judge.withheld)]
    return replace(judge, rows=np.concatenate([judge.rows, back]))


def router(given: Router, held: Examples, *, recall: float) -> Router:
    """The router with its least familiarity, the share it needs for ``recall`` and the temperature of its
    chances, from held-out queries.

    The share counts leaves only; the neighbour hop comes on top, so this is on the safe side.
    """
    familiar = (held.queries @ given.statistics.mean.T).max(axis=1)
    share = needed_share(given, held, recall=recall)
    return replace(
        given,
        calibration=Calibration(
            familiar=float(np.percentile(familiar, UNFAMILIAR)),
            needed_share=share,
            temperature=temperature(batch_scores(given, held), held.labels),
        ),
    )


def warmed(given: Router, held: Examples) -> Router:
    """The router with the temperature alone, as held-out queries teach it: for one that routes nothing."""
    found = replace(given.calibration, temperature=temperature(batch_scores(given, held), held.labels))
    return replace(given, calibration=found)


def leaf_errors(given: Router, held: Examples) -> tuple[float, float]:
    """The expected calibration error of the likeliest leaf's chance, uncalibrated and after a temperature:
    every other query chooses it, those between are judged.
    """
    scores, plain = batch_scores(given, held), 1.0 if given.trained else UNCALIBRATED
    chosen = temperature(scores[::2], held.labels[::2])
    judged, labels = scores[1::2], held.labels[1::2]
    return leaf_error(judged / plain, labels), leaf_error(judged / chosen, labels)


def leaf_error(logits: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """The expected calibration error of the likeliest leaf: its chance against the share of the label there.

    >>> round(leaf_error(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])), 2)
    0.5
    """
    best, rows = np.argmax(logits, axis=1), np.arange(len(logits))
    return expected_error(softmax(logits)[rows, best], labels[rows, best], bins=10)


def needed_share(given: Router, held: Examples, *, recall: float) -> float:
    """The smallest of ``SHARES`` whose leaves hold ``recall`` of the label mass on average."""
    counts = given.statistics.counts
    order = np.argsort(-batch_scores(given, held), axis=1, kind="stable")
    inside = np.cumsum(counts[order], axis=1) / max(int(counts.sum()), 1)
    mass = np.take_along_axis(held.labels, order, axis=1)
    for share in SHARES:
        if float(np.where(inside <= share, mass, 0.0).sum(axis=1).mean()) >= recall:
            return share
    return 1.0
