"""Logistic regression with few features: one curve for the plan and for the confidence in a result."""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

L2 = 1.0
STEPS = 25


def fit(rows: F64, labels: NDArray[np.bool_]) -> tuple[tuple[float, ...], float]:
    """The likeliest weights [F] and bias for features [m, F] and labels [m], with the weights of standardised
    features held near 0 (Newton's method). Features that do not vary get no weight.

    >>> weights, bias = fit(np.array([[0.0], [1.0]] * 20), np.array([False, True] * 20))
    >>> chance(weights, bias, np.array([1.0])) > 0.8 > 0.2 > chance(weights, bias, np.array([0.0]))
    True
    """
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    inputs = np.column_stack([(rows - mean) / scale, np.ones(len(rows))])
    penalty = L2 * np.eye(inputs.shape[1])
    penalty[-1, -1] = 1e-6
    weights = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (chances - labels) + penalty @ weights
        curve = inputs.T @ (inputs * (chances * (1 - chances))[:, None]) + penalty
        weights = weights - np.linalg.solve(curve, slope)
    raw = weights[:-1] / scale
    return tuple(raw.round(5).tolist()), round(float(weights[-1] - raw @ mean), 5)


def chance(weights: tuple[float, ...], bias: float, features: F64) -> float:
    """Of one row of features [F].

    >>> chance((0.0,), 0.0, np.zeros(1))
    0.5
    """
    at = float(np.dot(weights, features)) + bias
    return 1.0 if at > 500 else 1 / (1 + exp(-max(at, -500.0)))
