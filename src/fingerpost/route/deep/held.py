"""Who is held out, and what training did to them. No torch is needed here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import InputError
from fingerpost.route.gate import HELD, TOLERANCE
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pairs import Pairs, groups, unseen_rate
from fingerpost.text.counts import counted

BLOCK = 128


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mean reciprocal ranks of held-out queries, before → after, by whether other training queries asked
    for their documents; ``gain`` is that of the expected mix, ``error`` its standard error.
    """

    seen: tuple[float, float]
    unseen: tuple[float, float]
    gain: float
    error: float

    @property
    def accepted(self) -> bool:
        """Better by more than its error, and no harm to documents never trained on."""
        return self.gain > self.error and self.unseen[0] - self.unseen[1] <= TOLERANCE

    @property
    def said(self) -> str:
        """The figures in words."""
        seen, unseen = (f"{before:.3f} → {after:.3f}" for before, after in (self.seen, self.unseen))
        word = "kept" if self.accepted else "refused"
        return f"query encoder, held-out reciprocal rank: documents seen {seen}, unseen {unseen}, {word}"


def assign(given: Pairs, count: int, *, seed: int) -> tuple[I64, NDArray[np.bool_]]:
    """A fold for each query [m], and whether it is unseen: no query of another fold asks for its documents.

    Near-duplicates fall together; one document in ``HELD`` keeps its queries in one fold. Raises InputError
    E_PAIRS where a fold would be empty.
    """
    random = np.random.default_rng(seed)
    _, group = np.unique(groups(given.queries), return_inverse=True)
    fold_of = random.integers(0, count, int(group.max()) + 1)
    documents = np.unique(given.doc)
    for at, document in enumerate(random.permutation(documents)[: len(documents) // HELD].tolist()):
        fold_of[group[given.query[given.doc == document]]] = at % count
    fold = fold_of[group]
    if len(np.unique(fold[given.query])) < count:
        alike = counted(len(given.queries), "query is", "queries are")
        raise InputError(
            "E_PAIRS",
            f"{alike} too much alike to hold some of them out",
            cure="give pairs with other questions, or learn without deep training",
        )
    seen = np.zeros(len(given.queries), dtype=np.bool_)
    for number in range(count):
        mine = fold[given.query] == number
        known = np.isin(given.doc, given.doc[~mine])
        seen[given.query[mine & known]] = True
    return np.asarray(fold, dtype=np.int64), ~seen


def ranks(queries: F32, given: Pairs, vectors: NDArray[np.floating], docs: I64) -> NDArray[np.float64]:
    """Reciprocal rank of the best right document for each query [m]; a document is its best chunk."""
    order = np.argsort(docs, kind="stable")
    keys, first = np.unique(docs[order], return_index=True)
    chunks = np.asarray(vectors, dtype=np.float32)[order]
    place = np.searchsorted(keys, given.doc)
    found = np.zeros(len(queries))
    for start in range(0, len(queries), BLOCK):
        scores = np.maximum.reduceat(queries[start : start + BLOCK] @ chunks.T, first, axis=1)
        mine = (given.query >= start) & (given.query < start + BLOCK)
        best = np.full(len(scores), np.inf, dtype=np.float32)
        right = np.full(len(scores), -np.inf, dtype=np.float32)
        np.maximum.at(right, given.query[mine] - start, scores[given.query[mine] - start, place[mine]])
        best = np.where(np.isfinite(right), right, best)
        found[start : start + BLOCK] = 1.0 / (1 + (scores > best[:, None]).sum(axis=1))
    return found


def judge(
    before: NDArray[np.float64], after: NDArray[np.float64], given: Pairs, unseen: NDArray[np.bool_]
) -> Verdict:
    """The verdict over the queries that have pairs."""
    asked = np.zeros(len(before), dtype=np.bool_)
    asked[given.query] = True
    parts = [asked & ~unseen, asked & unseen]
    mix = float(np.clip(unseen_rate(given), 0.02, 0.98)) if parts[1].any() else 0.0
    gains = [after[part] - before[part] for part in parts]
    weights = (1 - mix, mix)
    gain = sum(w * float(g.mean()) for w, g in zip(weights, gains, strict=True) if len(g))
    error = float(
        np.sqrt(sum(w**2 * g.var() / len(g) for w, g in zip(weights, gains, strict=True) if len(g)))
    )
    means = [(float(before[p].mean()), float(after[p].mean())) if p.any() else (0.0, 0.0) for p in parts]
    return Verdict(means[0], means[1], gain, error)
