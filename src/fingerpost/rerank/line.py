"""The straight part of the learned fusion: one weight a feature, from which the trees start.

    score = Σ weight · (value − worst)        a missing value counts as the feature's worst and adds nothing

Its weights make the right candidates of a query likely among all of it (softmax over the list), and are held
near the untrained sum's, so that few questions move them little. As many weights as features need fewer
questions than trees do; what a straight line cannot say is left to them. Source of the loss: ListNet, Cao et
al. 2007, doi:10.1145/1273496.1273513.

    >>> line = Line.of(("sum_z", "near"), "sum_z", 2.0)
    >>> line.scores(np.array([[1.5, 9.0], [np.nan, 9.0]], np.float32)).tolist()
    [3.0, 0.0]
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Table = NDArray[np.float32]

HELD = 2.0
"""Weight of a squared step away from the start, in standard deviations of the feature, against one query."""
QUERIES = 1000
"""As many queries as fit the line: some fifty weights gain nothing from more."""
STEPS = 100
FALLING = "_rank"
"""Features so named are best when small; all others have their worst value below."""


@dataclass(frozen=True, slots=True)
class Line:
    """``weights`` [F]; ``worst`` [F], the value that a missing one counts as."""

    weights: F64
    worst: F64

    @classmethod
    def of(cls, names: Sequence[str], name: str, weight: float) -> Line:
        """One feature alone, a missing value of which counts as 0."""
        return cls(np.where(np.array(names) == name, weight, 0.0), np.zeros(len(names)))

    @classmethod
    def mean(cls, lines: Sequence[Line]) -> Line:
        """The mean of lines with the same ``worst``."""
        return cls(np.mean([line.weights for line in lines], axis=0), lines[0].worst)

    def parts(self, rows: Table) -> F64:
        """What each feature adds to the score of each row: [n, F]."""
        return _above(rows, self.worst) * self.weights

    def scores(self, rows: Table) -> F64:
        """The scores of rows [n, F]."""
        return np.asarray(_above(rows, self.worst) @ self.weights, np.float64)


def worst(tables: Sequence[Table], names: Sequence[str]) -> F64:
    """The mean over queries of each feature's worst value, 0 where it never had one: [F].

    >>> worst([np.array([[1.0, 1.0], [np.nan, 3.0]], np.float32)], ("dense_z", "dense_rank")).tolist()
    [1.0, 3.0]
    """
    sign = np.where([name.endswith(FALLING) for name in names], -1.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a value
        least = [np.nanmin(rows * sign, axis=0) for rows in tables if len(rows)]
        return np.asarray(np.nan_to_num(np.nanmean(least, axis=0) * sign), np.float64)


def fit(
    tables: Sequence[Table], grades: Sequence[NDArray[np.int32]], start: Line, rising: Sequence[bool]
) -> Line:
    """The line for queries given by the rows of their candidates [n, F] and their grades [n], each with one
    above 0 at least. Where ``rising`` [F], a weight cannot be negative.
    """
    from scipy.optimize import minimize  # LightGBM brings it; a fifth of a second, and only training needs it

    step = -(-len(tables) // QUERIES)
    lists = [_above(rows, start.worst) for rows in tables[::step]]
    values = np.concatenate(lists)
    spread = values.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    inputs = (values / scale).astype(np.float32)
    shares = np.concatenate([each / each.sum() for each in grades[::step]])
    loss = _Loss(inputs, np.array([len(rows) for rows in lists]), shares, start.weights * scale)
    bounds = [(0.0, None) if up else (None, None) for up in rising]
    found = minimize(loss, loss.start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return Line(np.asarray(found.x, np.float64) / scale, start.worst)


def _above(rows: Table, least: F64) -> F64:
    """How far values are from the worst; nothing where they are missing."""
    above = np.subtract(rows, least, dtype=np.float64)
    return np.where(np.isfinite(above), above, 0.0)


@dataclass(frozen=True)
class _Loss:
    """Cross-entropy of the softmax over each query's rows, and how far it is from ``start``."""

    inputs: Table
    sizes: NDArray[np.int64]
    shares: F64
    start: F64

    def __call__(self, weights: F64) -> tuple[float, F64]:
        """The loss and its gradient."""
        first = np.cumsum(self.sizes) - self.sizes
        scores = (self.inputs @ weights.astype(np.float32)).astype(np.float64)
        top = np.maximum.reduceat(scores, first)
        chances = np.exp(scores - np.repeat(top, self.sizes))
        total = np.add.reduceat(chances, first)
        away = weights - self.start
        loss = float((np.log(total) + top).sum() - self.shares @ scores + HELD * (away @ away))
        surplus = (chances / np.repeat(total, self.sizes) - self.shares).astype(np.float32)
        return loss, (self.inputs.T @ surplus).astype(np.float64) + 2 * HELD * away
