"""Plan: whether a second look would change what comes first, asked twice, of what is known by then.

Late interaction costs more than all that comes before it, and comparing words almost as much again. Where the
ways of searching agree and their best hit stands out, neither changes anything. The chance that they do is a
logistic function of a few cheap features: before late interaction of what BM25 and the vectors say, after it
of what it says too. Both learn without labels: all ways are run, and their first documents compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.route import logistic

Column = NDArray[np.floating]
F64 = NDArray[np.float64]

SHAPE = (
    "cosine",  # of the best dense hit
    "lead",  # of the fused first before the second, in leads before the twenty-first
    "ahead",  # of the fused first before the best of another document, in deviations
)
LOOK = (*SHAPE, "lexical", "dense")
"""What is known before late interaction; of a leg log(1 + candidates that it puts above the first)."""
WORDS = (*LOOK, "maxsim", "maxsim_pairs")
"""What is known after it."""
TOP, DEEP = 10, 20
"""Results that a plan knows, and the place that leads are measured by."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """``chance`` that more work changes the first document: a logistic function of the features."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, features: F64) -> float:
        """Of one query's features [F].

        >>> Chooser((0.0,) * 5, 0.0).chance(np.zeros(5))
        0.5
        """
        return logistic.chance(self.weights, self.bias, features)

    def warier(self, by: float) -> Chooser:
        """One whose log-odds of a change are higher ``by`` this much for every query.

        >>> round(Chooser((0.0,) * 5, 0.0).warier(1.0).chance(np.zeros(5)), 2)
        0.73
        """
        return Chooser(self.weights, self.bias + by)

    def named(self, names: tuple[str, ...]) -> dict[str, object]:
        """As JSON that a person can read."""
        bias = self.bias if isfinite(self.bias) else None
        return {"bias": bias, "weights": dict(zip(names, self.weights, strict=True))}

    @classmethod
    def of(cls, found: Mapping[str, Any], names: tuple[str, ...]) -> Chooser:
        """What ``named`` made. Raises KeyError, TypeError or ValueError for anything else."""
        bias = inf if found["bias"] is None else float(found["bias"])
        return cls(tuple(float(found["weights"][name]) for name in names), bias)


@dataclass(frozen=True, slots=True)
class Plan:
    """``look``: the chance that late interaction and words change the first document; ``words``: that words
    do after late interaction.
    """

    look: Chooser
    words: Chooser

    def warier(self, by: float) -> Plan:
        """One whose log-odds of a change are higher ``by`` this much for every query."""
        return Plan(self.look.warier(by), self.words.warier(by))

    def to_bytes(self) -> bytes:
        """The artifact: JSON that a person can read."""
        found = {"kind": "plan", "look": self.look.named(LOOK), "words": self.words.named(WORDS)}
        return json.dumps(found).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Read what ``to_bytes`` wrote; a plan of before there were two stages gives every query its full
        second look. Raises ModelError E_MODEL on anything else.
        """
        try:
            found = json.loads(data)
            if found["kind"] == "plan" and isinstance(found.get("weights"), dict):
                return NEVER
            return cls(Chooser.of(found["look"], LOOK), Chooser.of(found["words"], WORDS))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                "E_MODEL", f"plan.json is not a plan: {error}", cure="run `fingerpost learn` again"
            ) from error


DEFAULT = Plan(
    Chooser((-6.63676, -3.54226, -0.80411, 0.51267, 0.30699), 3.27975),
    Chooser((-3.72982, -2.63293, -2.52483, 0.23417, 0.12335, -0.20326, 0.44342), 0.75846),
)
"""Of an index that has learned nothing: fitted on the training questions of four sets by bench/plan.py."""
NEVER = Plan(Chooser((0.0,) * len(LOOK), inf), Chooser((0.0,) * len(WORDS), inf))
"""Every query gets its full second look."""


def features(names: tuple[str, ...], legs: Mapping[str, Column], docs: NDArray[np.int64], total: F64) -> F64:
    """The values of ``names`` (LOOK or WORDS) for one query's n candidates: the legs' scores (NaN where
    missing), their documents' keys, and the fused scores.

    >>> legs = {"lexical": np.array([9.0, 3.0, 1.0]), "dense": np.array([0.2, 0.3, 0.6])}
    >>> features(LOOK, legs, np.array([7, 8, 9]), np.array([2.0, 0.0, -2.0])).round(2).tolist()
    [0.6, 0.5, 1.22, 0.0, 1.1]
    """
    first, best = int(np.argmax(total)), np.sort(total)[::-1]
    others = total[docs != docs[first]]
    lead = _over(best[0] - best[min(1, len(best) - 1)], best[0] - best[min(DEEP, len(best) - 1)])
    ahead = _over(best[0] - others.max(), float(total.std())) if len(others) else 0.0
    known = {name: np.nan_to_num(legs[name], nan=-inf) for name in names if name in legs}
    cosine = float(known["dense"].max()) if "dense" in known else 0.0
    above = [
        np.log1p(np.count_nonzero(known[name] > known[name][first])) if name in known else 0.0
        for name in names[len(SHAPE) :]
    ]
    return np.array([cosine if isfinite(cosine) else 0.0, lead, ahead, *above])


def fit(rows: F64, changed: NDArray[np.bool_]) -> Chooser:
    """The most likely chooser of features [m, F] and whether more work changed the first document.

    >>> rows = np.zeros((40, 5)); rows[20:, 3] = 1
    >>> chooser = fit(rows, np.arange(40) < 20)
    >>> chooser.chance(rows[0]) > 0.8, chooser.chance(rows[-1]) < 0.2
    (True, True)
    """
    return Chooser(*logistic.fit(rows, changed))


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole > 1e-9 else 0.0
