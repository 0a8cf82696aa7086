"""Can a score be believed? How often the first result is right, by what its score promised.

The scores of a search are sums of standard scores, not probabilities. So half of the questions fit a curve
from score to probability – Platt's sigmoid, two numbers – and the other half is shown by it
(Niculescu-Mizil, Caruana 2005, 10.1145/1102351.1102430). The router's chances are probabilities already:
they are shown as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

LEAST = 40
"""Questions below which nothing is shown: half of them could not carry five points."""
BINS = 10
PER_BIN = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions that were promised about the same: the mean promise, the share that was right with its 95 %
    Wilson interval, and how many there are.
    """

    promised: float
    right: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """The shown half: its bins by promise, the expected calibration error, and the Brier scores of the
    promises and of always promising the mean. ``slope`` and ``offset`` are the sigmoid's.
    """

    bins: tuple[Bin, ...]
    error: float
    brier: float
    base: float
    slope: float
    offset: float
    fitted: int


def reliability(scores: Floats, right: Marks, *, seed: int = 0) -> Reliability | None:
    """Fit on one half of the questions, drawn by ``seed``, and look at the other. NaN scores – nothing
    was found – are left out. None with fewer than ``LEAST`` questions, or where all are right or all wrong.
    """
    known = np.isfinite(scores)
    scores, right = scores[known], right[known]
    if len(scores) < LEAST:
        return None
    order = np.random.default_rng(seed).permutation(len(scores))
    fit, shown = order[::2], order[1::2]
    if right[fit].all() or not right[fit].any():
        return None
    slope, offset = sigmoid_of(scores[fit], right[fit])
    promised = _sigmoid(slope * scores[shown] + offset)
    bins = _bins(promised, right[shown])
    error = sum(each.count * abs(each.promised - each.right) for each in bins) / len(shown)
    brier = float(np.mean((promised - right[shown]) ** 2))
    base = float(np.mean((right[fit].mean() - right[shown]) ** 2))
    return Reliability(bins, error, brier, base, slope, offset, len(fit))


@dataclass(frozen=True, slots=True)
class Kept:
    """Probabilities as they were given: bins by promise, and the expected calibration error."""

    bins: tuple[Bin, ...]
    error: float


def kept(promised: Floats, came: Floats) -> Kept | None:
    """Chances beside the shares [n] that came of them, 0 to 1; NaN is left out. None for fewer than
    ``LEAST``.

    >>> found = kept(np.full(40, 0.5), np.arange(40) % 2.0)
    >>> found is not None and found.error
    0.0
    """
    known = np.isfinite(promised) & np.isfinite(came)
    if known.sum() < LEAST:
        return None
    bins = _bins(promised[known], came[known])
    return Kept(bins, sum(each.count * abs(each.promised - each.right) for each in bins) / int(known.sum()))


def sigmoid_of(scores: Floats, right: Marks) -> tuple[float, float]:
    """Slope and offset of the sigmoid that makes what was seen likeliest, by Newton's method. As Platt does,
    the targets stay off 0 and 1, so that scores that separate do not make it infinitely steep.

    >>> slope, offset = sigmoid_of(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True]))
    >>> slope > 0 and abs(offset / slope + 1.5) < 1e-6
    True
    """
    good, bad = int(right.sum()), int((~right).sum())
    target = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    rows = np.stack([(scores - centre) / spread, np.ones(len(scores))], axis=1)
    weights = np.array([0.0, np.log((good + 1) / (bad + 1))])
    for _ in range(50):
        chances = _sigmoid(rows @ weights)
        slopes = rows * (chances * (1 - chances))[:, None]
        step = np.linalg.solve(slopes.T @ rows + 1e-9 * np.eye(2), rows.T @ (target - chances))
        weights = weights + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * centre


def wilson(right: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927, 10.1080/01621459.1927.10502953).

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    z = 1.959964
    middle = (right + z * z / 2) / (count + z * z)
    reach = z / (count + z * z) * np.sqrt(right * (count - right) / count + z * z / 4)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def _bins(promised: Floats, right: Marks | Floats) -> tuple[Bin, ...]:
    """Bins of equal size in the order of the promise."""
    order = np.argsort(promised, kind="stable")
    parts = np.array_split(order, min(BINS, max(1, len(order) // PER_BIN)))
    made = []
    for part in parts:
        hits = float(right[part].sum())
        low, high = wilson(hits, len(part))
        made.append(Bin(float(promised[part].mean()), hits / len(part), low, high, len(part)))
    return tuple(made)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))), dtype=np.float64)
