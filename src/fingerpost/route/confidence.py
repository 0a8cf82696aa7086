"""Confidence: the chance that the first document of a learned ranking is the right one.

Scores of the learned fusion are no probabilities. Two numbers of a ranking say how far to believe it: the
score of its first document, and by how much that is ahead of the second. A logistic function of the two is
fitted on questions that whoever ranked them was not taught (Platt 1999, with a second feature).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.route import logistic

F64 = NDArray[np.float64]

NAMES = ("score", "lead")
LEAST = 100
"""Questions below which nothing is fitted: the half that judges could not carry five points."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """A logistic function of the first document's score and lead."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, signs: F64) -> float:
        """That the first document is right, from ``signs`` [2]."""
        return logistic.chance(self.weights, self.bias, signs)

    def to_bytes(self) -> bytes:
        """The artifact: JSON that a person can read."""
        named = dict(zip(NAMES, self.weights, strict=True))
        return json.dumps({"kind": "confidence", "bias": self.bias, "weights": named}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Confidence:
        """Read what ``to_bytes`` wrote. Raises ModelError E_MODEL on anything else."""
        try:
            found = json.loads(data)
            numbers = [float(found["weights"][name]) for name in NAMES] + [float(found["bias"])]
            if not all(map(isfinite, numbers)):
                raise ValueError("a number is not finite")
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                "E_MODEL",
                f"confidence.json holds no confidence: {error}",
                cure="run `fingerpost learn` again",
            ) from error
        return cls(tuple(numbers[:-1]), numbers[-1])


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted on all questions; fitted on one half and judged on the other, the Brier score and that
    of always promising the mean.
    """

    confidence: Confidence
    brier: float
    base: float


def signs(scores: NDArray[np.floating], docs: NDArray[np.int64]) -> F64:
    """Score and lead [2] of the first of the documents, each by its best chunk; one alone has no lead.

    >>> signs(np.array([2.0, 5.0, 4.5]), np.array([8, 7, 7])).tolist()
    [5.0, 3.0]
    """
    first = int(np.argmax(scores))
    others = scores[docs != docs[first]]
    return np.array([scores[first], scores[first] - others.max() if len(others) else 0.0], dtype=np.float64)


def fit(rows: F64, right: NDArray[np.bool_], family: Sequence[str], *, seed: int) -> Fitted | None:
    """From the signs [m, 2] of held-out questions and whether their first document was right [m]; those of
    one ``family`` [m] teach or judge together. None where there are too few of either kind, or where on the
    judging half it is not better than the mean by more than one standard error.
    """
    names, which = np.unique(np.array(family, dtype=str), return_inverse=True)
    half = np.random.default_rng(seed).permutation(len(names))[which] % 2
    taught, judged = half == 0, half == 1
    if len(rows) < LEAST or len(names) < 2 or not (right[taught].any() and not right[taught].all()):
        return None
    trial = Confidence(*logistic.fit(rows[taught], right[taught]))
    promised = np.array([trial.chance(row) for row in rows[judged]])
    missed, flat = (promised - right[judged]) ** 2, (right[taught].mean() - right[judged]) ** 2
    gain = flat - missed
    if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
        return None
    confidence = Confidence(*logistic.fit(rows, right))
    return Fitted(confidence, float(missed.mean()), float(flat.mean()))
