"""Plan: whether a second look would change what comes first, from what BM25 and the vectors say alone.

Late interaction and the comparing of words cost more than all that comes before them, and where the two legs
agree and their best hit stands out they change nothing. The chance that they do is a logistic function of
nine cheap features. It learns without labels: both ways are run, and their first documents compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf, isfinite, log

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.route import logistic

Column = NDArray[np.floating]
F64 = NDArray[np.float64]

NAMES = (
    "cosine",  # of the best dense hit
    "lexical_gap",  # log of the deviations by which BM25's best is ahead of its mean
    "dense_gap",
    "same",  # 1 where both legs' first chunks are of one document
    "overlap",  # share of the first ten documents that both legs have
    "lead",  # of the fused first before the second, in leads before the twenty-first
    "ahead",  # of the fused first before the fifth, in deviations
    "terms",  # log(1 + terms of the query)
    "same_lead",
)
TOP, FIFTH, DEEP = 10, 4, 20


@dataclass(frozen=True, slots=True)
class Chooser:
    """``chance`` that a second look changes the first document: a logistic function of the features."""

    weights: tuple[float, ...]
    bias: float

    def chance(self, features: F64) -> float:
        """Of one query's features [9].

        >>> Chooser((0.0,) * 9, 0.0).chance(np.zeros(9))
        0.5
        """
        return logistic.chance(self.weights, self.bias, features)

    def warier(self, by: float) -> Chooser:
        """One whose log-odds of a change are higher ``by`` this much for every query.

        >>> round(Chooser((0.0,) * 9, 0.0).warier(1.0).chance(np.zeros(9)), 2)
        0.73
        """
        return Chooser(self.weights, self.bias + by)

    def to_bytes(self) -> bytes:
        """The artifact: JSON that a person can read."""
        bias = self.bias if isfinite(self.bias) else None
        named = dict(zip(NAMES, self.weights, strict=True))
        return json.dumps({"kind": "plan", "bias": bias, "weights": named}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Chooser:
        """Read what ``to_bytes`` wrote. Raises ModelError E_MODEL on anything else."""
        try:
            found = json.loads(data)
            weights = tuple(float(found["weights"][name]) for name in NAMES)
            bias = inf if found["bias"] is None else float(found["bias"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                "E_MODEL", f"plan.json is not a plan: {error}", cure="run `fingerpost learn` again"
            ) from error
        return cls(weights, bias)


DEFAULT = Chooser(
    (-6.27824, -0.62539, -0.69515, -0.98833, -0.2623, -6.10129, -0.34342, -0.22736, -1.25351), 6.26517
)
"""Of an index that has learned nothing: fitted on the training questions of four sets by bench/plan.py."""
NEVER = Chooser((0.0,) * len(NAMES), inf)
"""Every query gets its second look."""


def features(lexical: Column, dense: Column, docs: NDArray[np.int64], total: F64, *, terms: int) -> F64:
    """The values of ``NAMES`` for one query's n candidates: both legs' scores (NaN where missing), their
    documents' keys, the fused scores of the two legs, and how many terms the query has.

    >>> legs = np.array([9.0, 3.0, 1.0]), np.array([0.6, 0.3, 0.2])
    >>> features(*legs, np.array([7, 8, 9]), np.array([2.0, 0.0, -2.0]), terms=3).round(2).tolist()
    [0.6, 0.32, 0.32, 1.0, 0.3, 0.5, 2.45, 1.39, 0.5]
    """
    firsts = [_documents(leg, docs) for leg in (lexical, dense)]
    same = float(bool(firsts[0]) and bool(firsts[1]) and firsts[0][0] == firsts[1][0])
    best = np.sort(total)[::-1]
    lead = _over(best[0] - best[min(1, len(best) - 1)], best[0] - best[min(DEEP, len(best) - 1)])
    ahead = _over(best[0] - best[min(FIFTH, len(best) - 1)], float(total.std()))
    known = dense[np.isfinite(dense)]
    cosine = float(known.max()) if len(known) else 0.0
    overlap = len(set(firsts[0]) & set(firsts[1])) / TOP
    gaps = (_gap(lexical), _gap(dense))
    return np.array([cosine, *gaps, same, overlap, lead, ahead, log(1 + terms), same * lead])


def fit(rows: F64, changed: NDArray[np.bool_]) -> Chooser:
    """The most likely chooser of features [m, 9] and whether the second look changed the first document.

    >>> rows = np.zeros((40, 9)); rows[20:, 3] = 1
    >>> chooser = fit(rows, np.arange(40) < 20)
    >>> chooser.chance(rows[0]) > 0.8, chooser.chance(rows[-1]) < 0.2
    (True, True)
    """
    return Chooser(*logistic.fit(rows, changed))


def _documents(scores: Column, docs: NDArray[np.int64]) -> list[int]:
    """The documents of a leg's first ten chunks."""
    order = np.argsort(-np.nan_to_num(scores, nan=-inf), kind="stable")[:TOP]
    return [int(doc) for doc, score in zip(docs[order], scores[order], strict=True) if np.isfinite(score)]


def _gap(scores: Column) -> float:
    known = np.asarray(scores[np.isfinite(scores)], np.float64)
    spread = float(known.std()) if len(known) else 0.0
    return log(max(float(known.max() - known.mean()) / spread, 0.1)) if spread > 1e-9 else 0.0


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole > 1e-9 else 0.0
