"""Fusion of legs: from one score a leg to one score a candidate, and how much each leg had in it.

Scores of different legs have different scales, so each leg is brought to a common one over the candidates
of the query before it is weighted. A leg that did not score a candidate (NaN) did not *refuse* it: the
candidate lies below that leg's cut, so it gets the worst value that the leg gave. A leg that scored no
candidate at all, or gave all the same score, says nothing and changes nothing.

    >>> legs = {"lexical": np.array([9.0, 3.0, np.nan]), "dense": np.array([0.1, 0.5, 0.6])}
    >>> fused = standardised(legs, {"lexical": 1.0, "dense": 0.5})
    >>> fused.order.tolist()
    [0, 2, 1]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.scores import centre

Array = NDArray[np.float64]
Legs = Mapping[str, NDArray[np.floating]]

RRF_K = 60
DEFAULT_WEIGHTS: Mapping[str, float] = {"lexical": 1.0, "dense": 0.5, "maxsim": 2.0}
BALANCED_WEIGHTS: Mapping[str, float] = {
    "lexical": 0.8,
    "dense": 2.0,
    "maxsim": 2.0,
    "maxsim_pairs": 0.5,
    "ordered": 0.2,
    "title": 0.2,
}
"""Chosen by the mean over four sets' training queries, the same for all (bench/LOG.md)."""

SPARSE_WEIGHT = 1.0
"""Of a learned sparse leg, where there is one, when the dials say nothing of it."""

SURE_COSINE = 0.6  # a best cosine at which the default encoder is right about as often as BM25
SURE_POWER = 8
SURE_MOST = 3.0
STANDS_OUT = 5.0  # deviations by which BM25's best is usually ahead of its mean


@dataclass(frozen=True, slots=True)
class Balance:
    """The dials of ``balanced``: ``weights`` by leg, and how sharply the dense leg's follows its best cosine.
    ``questions``: how many questions made from the corpus chose them; 0 for those that ship. ``cosine`` goes
    with who encodes the query and is kept with it, not here.
    """

    weights: Mapping[str, float]
    power: float = SURE_POWER
    questions: int = 0
    cosine: float = SURE_COSINE

    def to_bytes(self) -> bytes:
        """The artifact: JSON that a person can read.

        >>> Balance.from_bytes(Balance({"dense": 2.0}, 4.0, 500).to_bytes())
        Balance(weights={'dense': 2.0}, power=4.0, questions=500, cosine=0.6)
        """
        facts = {"weights": dict(self.weights), "power": self.power, "questions": self.questions}
        return json.dumps({"kind": "balance", **facts}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Balance:
        """Read what ``to_bytes`` wrote. Raises ModelError E_MODEL on anything else."""
        try:
            found = json.loads(data)
            weights = {str(leg): float(weight) for leg, weight in found["weights"].items()}
            balance = cls(weights, float(found["power"]), int(found["questions"]))
            if not all(np.isfinite(weight) and weight >= 0 for weight in (*weights.values(), balance.power)):
                raise ValueError("a weight is negative or not finite")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                "E_MODEL", f"balance.json is no balance: {error}", cure="run `fingerpost learn` again"
            ) from error
        return balance


BALANCED = Balance(BALANCED_WEIGHTS)


@dataclass(frozen=True, slots=True)
class Fused:
    """``scores[i]`` is the sum over legs of ``weights[leg] * factors[leg][i]``."""

    scores: Array
    factors: Mapping[str, Array]
    weights: Mapping[str, float]

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions best first; equal scores in the order given."""
        return np.argsort(-self.scores, kind="stable")

    def parts(self, at: int) -> dict[str, float]:
        """What each leg contributed to the score of candidate ``at``: factor times weight."""
        return {leg: float(self.weights[leg] * factor[at]) for leg, factor in self.factors.items()}


def standardised(legs: Legs, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> Fused:
    """Weighted sum of standard scores: (score - mean) / deviation over the candidates.

    >>> standardised({"dense": np.array([0.2, 0.4])}, {"dense": 0.5}).scores.round(3).tolist()
    [-0.5, 0.5]
    """
    return _weighted(legs, weights, standard)


def balanced(
    legs: Legs,
    weights: Mapping[str, float] = BALANCED_WEIGHTS,
    *,
    power: float = SURE_POWER,
    cosine: float = SURE_COSINE,
) -> Fused:
    """The untrained default: ``standardised``, with weights that follow how sure the legs are of the query.

    Standard scores forget whether a leg's best hit is a good one. The dense leg's best cosine tells: its
    weight is multiplied by (best / ``cosine``)^``power``, at most 3. BM25's weight is multiplied by how far
    its best hit is ahead of its mean, in fifths of five deviations. So a query in words that no passage uses
    goes by meaning, one that names a rare term by the term.

    >>> legs = {"lexical": np.array([2.0, 1.0]), "dense": np.array([0.3, 0.6])}
    >>> {leg: round(weight, 2) for leg, weight in balanced(legs).weights.items()}
    {'lexical': 0.16, 'dense': 2.0}
    """
    scaled = {"sparse": SPARSE_WEIGHT, **weights}
    if "dense" in legs and "dense" in scaled:
        scaled["dense"] *= dense_surety(legs["dense"], power, cosine)
    if "lexical" in legs and "lexical" in scaled:
        scaled["lexical"] *= lexical_surety(legs["lexical"])
    return _weighted(legs, scaled, standard)


def minmax(legs: Legs, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> Fused:
    """Weighted sum of scores stretched to 0 … 1 over the candidates.

    >>> minmax({"dense": np.array([0.2, 0.3, 0.4])}, {"dense": 1.0}).scores.round(3).tolist()
    [0.0, 0.5, 1.0]
    """
    return _weighted(legs, weights, stretched)


def rrf(legs: Legs, *, k: int = RRF_K) -> Fused:
    """Reciprocal rank fusion: the sum over legs of 1 / (k + rank), rank from 1; a missing score adds 0.

    Equal scores share the better rank. Source: Cormack et al. 2009, doi:10.1145/1571941.1572114.

    >>> rrf({"dense": np.array([0.9, 0.5])}).scores.round(4).tolist()
    [0.0164, 0.0161]
    """
    return _weighted(legs, dict.fromkeys(legs, 1.0), lambda scores: _reciprocal_rank(scores, k))


def standard(scores: NDArray[np.floating]) -> Array:
    """Standard scores, missing ones at the worst value given; zeros where nothing is told apart.

    >>> standard(np.array([1.0, 3.0, np.nan])).round(3).tolist()
    [-0.707, 1.414, -0.707]
    """
    filled = _filled(scores)
    centred, spread = centre(filled)
    return centred / spread if _tells_apart(filled, spread) else np.zeros(len(scores))


def stretched(scores: NDArray[np.floating]) -> Array:
    """Scores stretched to 0 … 1, missing ones at 0; zeros where nothing is told apart."""
    filled = _filled(scores)
    spread = np.ptp(filled) if len(filled) else 0.0
    return (filled - filled.min()) / spread if _tells_apart(filled, spread) else np.zeros(len(scores))


def neutral(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores with the mean of the others where one is missing because nothing could be compared.

    >>> neutral(np.array([1.0, np.nan, 3.0], np.float32)).tolist()
    [1.0, 2.0, 3.0]
    """
    known = np.isfinite(scores)
    return np.where(known, scores, scores[known].mean()) if known.any() else scores


def dense_surety(
    scores: NDArray[np.floating], power: float = SURE_POWER, cosine: float = SURE_COSINE
) -> float:
    """What the dense leg's weight is multiplied by for a query.

    >>> dense_surety(np.array([0.3, 0.6]))
    1.0
    """
    known = scores[np.isfinite(scores)]
    best = float(known.max(initial=0.0)) / cosine
    return float(min(best**power, SURE_MOST))


def lexical_surety(scores: NDArray[np.floating]) -> float:
    """What BM25's weight is multiplied by for a query.

    >>> lexical_surety(np.array([2.0, 1.0]))
    0.2
    """
    known = np.asarray(scores[np.isfinite(scores)], np.float64)
    centred, spread = centre(known)
    if not len(known) or not _tells_apart(known, spread):
        return 1.0
    return float(centred.max()) / spread / STANDS_OUT


def _weighted(
    legs: Legs, weights: Mapping[str, float], scale: Callable[[NDArray[np.floating]], Array]
) -> Fused:
    used = {leg: scale(scores) for leg, scores in legs.items() if weights.get(leg)}
    size = max((len(scores) for scores in legs.values()), default=0)
    total = sum((weights[leg] * factor for leg, factor in used.items()), np.zeros(size))
    return Fused(total, used, {leg: weights[leg] for leg in used})


def _filled(scores: NDArray[np.floating]) -> Array:
    """float64, and what is not finite replaced by the least finite value (0 where there is none)."""
    out = np.asarray(scores, np.float64)
    known = np.isfinite(out)
    return np.where(known, out, out[known].min() if known.any() else 0.0)


def _tells_apart(filled: Array, spread: float) -> bool:
    """Whether the spread is more than rounding noise of float32 scores of this size."""
    return bool(spread > 1e-6 * np.abs(filled).max(initial=0.0))


def _reciprocal_rank(scores: NDArray[np.floating], k: int) -> Array:
    known = np.isfinite(scores)
    ordered = np.sort(-np.asarray(scores, np.float64)[known])
    ranks = 1 + np.searchsorted(ordered, -np.asarray(scores, np.float64), side="left")
    return np.where(known, 1.0 / (k + ranks), 0.0)
