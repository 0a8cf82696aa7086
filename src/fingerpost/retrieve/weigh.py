"""The dials of the untrained sum chosen for one corpus, on questions that were made from it.

Questions made from documents are not what users ask, and a model that can fit more learns how they were made
(bench/LOG.md: a forest does). So few numbers are moved; a step counts by what it does for the kind of
question that gains least, as users' questions are a kind of their own; and the way is gone only by half.
What is chosen must serve documents that did not choose it and lose on no kind, or it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.retrieve.fuse import (
    BALANCED,
    SURE_MOST,
    Array,
    Balance,
    Legs,
    dense_surety,
    lexical_surety,
    standard,
)
from fingerpost.text.counts import counted

LEAST = 100
"""Fewer questions than this choose nothing: held-out figures would be noise."""
FOLDS = 4
STEPS = (0.5, 0.7, 1.4, 2.0)
FARTHEST = 4.0
"""How far the search looks from the dial that ships, as a factor."""
ROUNDS = 3
LEAST_STEP = 1e-3
"""What a step must be worth, in nDCG@10 on the questions that choose."""
LEAST_GAIN = 0.01
"""What documents that did not choose must gain, in nDCG@10: less is not worth leaving what others share."""
LEAST_OF_KIND = 30
"""A kind of fewer questions has no say of its own."""
MEAN_SHARE = 0.25
"""What the mean over kinds counts beside the kind that gains least."""
CUTOFF = 10


@dataclass(frozen=True, slots=True)
class Example:
    """One question: every leg's scores over its candidates (as the sum is given them), which of the
    candidates answer it, the document it was made from, and its kind.
    """

    legs: Legs
    right: NDArray[np.bool_]
    document: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """The balance, or None and ``reason``; ``figures`` by name, on documents held out of the choice."""

    balance: Balance | None
    reason: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Table:
    """``factors`` [m, n, L] of every question's candidates, padded; ``right`` and ``real`` [m, n]; for each
    question BM25's surety, the best cosine as a surety of power 1, and the number of its kind.
    """

    factors: Array
    right: NDArray[np.bool_]
    real: NDArray[np.bool_]
    lexical: Array
    cosine: Array
    kind: NDArray[np.int64]

    def ndcg(self, dials: Mapping[str, float]) -> Array:
        """nDCG@10 of each question [m], its documents' best chunk counting as the one right answer."""
        weights = np.repeat([[dials[leg] for leg in BALANCED.weights]], len(self.right), axis=0)
        legs = list(BALANCED.weights)
        weights[:, legs.index("lexical")] *= self.lexical
        weights[:, legs.index("dense")] *= np.minimum(self.cosine ** dials["power"], SURE_MOST)
        scores = np.einsum("mnl,ml->mn", self.factors, weights)
        best = np.where(self.right, scores, -np.inf).max(axis=1)
        above = ((scores > best[:, None]) & self.real & ~self.right).sum(axis=1)
        found = np.isfinite(best) & (above < CUTOFF)
        return np.where(found, 1 / np.log2(2.0 + above), 0.0)

    def only(self, rows: NDArray[np.bool_]) -> _Table:
        return _Table(
            self.factors[rows],
            self.right[rows],
            self.real[rows],
            self.lexical[rows],
            self.cosine[rows],
            self.kind[rows],
        )

    def kinds(self, gains: Array) -> Array:
        """The mean gain of each kind that has a say; of all questions where none has."""
        counts = np.bincount(self.kind)
        means = np.bincount(self.kind, weights=gains) / np.maximum(counts, 1)
        heard = means[counts >= LEAST_OF_KIND]
        return heard if len(heard) else np.array([gains.mean()])


def fit(examples: Sequence[Example], folds: Callable[[Sequence[str]], NDArray[np.int64]]) -> Weighed:
    """Choose on all questions, judge out of fold; ``folds`` deals documents to folds 0 … FOLDS - 1."""
    if len(examples) < LEAST:
        return Weighed(None, f"{counted(len(examples), 'usable question')}, fewer than {LEAST}", {})
    table, fold = _table(examples), folds([example.document for example in examples])
    shipped = _dials(BALANCED)
    before, after = table.ndcg(shipped), np.zeros(len(examples))
    for held in range(FOLDS):
        away = fold == held
        after[away] = table.only(away).ndcg(_search(table.only(~away)))
    gains = after - before
    error = float(gains.std(ddof=1) / np.sqrt(len(gains)))
    figures = {
        "questions": float(len(gains)),
        "shipped": float(before.mean()),
        "weighed": float(after.mean()),
        "gain": float(gains.mean()),
        "error": error,
    }
    if gains.mean() <= max(2 * error, LEAST_GAIN) or table.kinds(gains).min() < -error:
        return Weighed(None, "no better than the weights that ship on held-out documents", figures)
    dials = _search(table)
    power = dials.pop("power")
    return Weighed(
        Balance({leg: round(weight, 4) for leg, weight in dials.items()}, round(power, 4), len(examples)),
        "better than the weights that ship on held-out documents",
        figures,
    )


def _dials(balance: Balance) -> dict[str, float]:
    return {**balance.weights, "power": balance.power}


def _search(table: _Table) -> dict[str, float]:
    """Coordinate ascent from the dials that ship; half the way (of the logarithms) to where it ends."""
    shipped = _dials(BALANCED)
    dials, best, before = dict(shipped), 0.0, table.ndcg(shipped)
    for _ in range(ROUNDS):
        stood = best
        for name in shipped:
            for step in STEPS:
                tried = {**dials, name: dials[name] * step}
                if not 1 / FARTHEST <= tried[name] / shipped[name] <= FARTHEST:
                    continue
                gains = table.kinds(table.ndcg(tried) - before)
                worth = float(gains.min() + MEAN_SHARE * gains.mean())
                if worth > best + LEAST_STEP:
                    dials, best = tried, worth
        if best == stood:
            break
    return {name: float(np.sqrt(shipped[name] * dial)) for name, dial in dials.items()}


def _table(examples: Sequence[Example]) -> _Table:
    legs, width = list(BALANCED.weights), max(len(example.right) for example in examples)
    factors = np.zeros((len(examples), width, len(legs)))
    right, real = np.zeros((2, len(examples), width), np.bool_)
    lexical, cosine = np.ones((2, len(examples)))
    for at, example in enumerate(examples):
        size = len(example.right)
        for column, leg in enumerate(legs):
            if leg in example.legs:
                factors[at, :size, column] = standard(example.legs[leg])
        right[at, :size], real[at, :size] = example.right, True
        lexical[at] = lexical_surety(example.legs["lexical"])
        cosine[at] = dense_surety(example.legs["dense"], power=1.0)
    _, kind = np.unique([example.kind for example in examples], return_inverse=True)
    return _Table(factors, right, real, lexical, cosine, kind)
