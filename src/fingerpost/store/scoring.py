"""The two legs over base and tail together: one ranking, one set of statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.store import bm25
from fingerpost.store.lexical import SET_LIMIT, Clause, Lexical
from fingerpost.store.vectors import Mask, Run
from fingerpost.store.view import View
from fingerpost.text.query import Query

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]

MOST_TERMS = 64
"""Terms of a query that BM25 looks up: the rest of a pasted page costs time and gains nothing (LOG.md)."""


def best(keys: Keys, scores: Scores, k: int) -> tuple[Keys, Scores]:
    """The ``k`` best, best first; equal scores in the order of their keys.

    >>> best(np.array([3, 1, 2]), np.array([1, 1, 2], dtype=np.float32), 2)[0].tolist()
    [2, 1]
    """
    order = np.lexsort((keys, -scores))[:k]
    return keys[order], scores[order]


def dense(
    view: View, vector: NDArray[np.float32], *, k: int, runs: Sequence[Run], base: Mask | None, tail: Mask
) -> tuple[Keys, Scores, int]:
    """See Snapshot.dense."""
    rows, scores, scored = view.generation.slices.search(vector, k=k, runs=runs, mask=base)
    keys = view.generation.keys[rows]
    if view.tail.count:
        fresh, fresh_scores = view.tail.dense(vector, tail)
        keys = np.concatenate([keys, view.tail.keys[fresh]])
        scores = np.concatenate([scores, fresh_scores])
        scored += len(fresh)
    return (*best(keys, scores, k), scored)


def lexical(view: View, query: Query, *, k: int, base: Mask | None, tail: Mask) -> tuple[Keys, Scores]:
    """See Snapshot.lexical."""
    wanted = [(bm25.BODY, term, 1.0) for term in rarest(view, query.terms)]
    wanted += [(bm25.CODE, code, bm25.CODE_BOOST) for code in query.codes]
    held = view.generation.lexical
    for_base, for_tail = _weighted(view, wanted)
    keys, scores = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    if held is not None and for_base:
        keys, scores = _base(view, held, for_base, k=k, mask=base)
    if for_tail:
        fresh, fresh_scores = view.tail.lexical(for_tail, averages(view), tail)
        keys = np.concatenate([keys, view.tail.keys[fresh]])
        scores = np.concatenate([scores, fresh_scores])
    return best(keys, scores, k)


def idf(view: View, terms: Sequence[str], *, field: str = bm25.BODY) -> Scores:
    """See Snapshot.idf; ``field`` as in ``bm25.FIELDS``."""
    held, tail = view.generation.lexical, view.tail
    count = (held.statistics[bm25.BODY].documents if held else 0) + int(tail.alive.sum())
    found = [
        bm25.idf(count, (held.frequency(field, term) if held else 0) + tail.frequency(field, term))
        for term in terms
    ]
    return np.array(found, dtype=np.float32)


def rarest(view: View, terms: Sequence[str]) -> Sequence[str]:
    """The ``MOST_TERMS`` rarest of a long query's terms that occur at all, in order; of a short one all."""
    if len(terms) <= MOST_TERMS:
        return terms
    held = view.generation.lexical
    counts = {
        term: (held.frequency(bm25.BODY, term) if held else 0) + view.tail.frequency(bm25.BODY, term)
        for term in terms
    }
    known = [term for term in terms if counts[term]]
    kept = set(sorted(known, key=counts.__getitem__)[:MOST_TERMS])
    return [term for term in known if term in kept]


def _weighted(view: View, wanted: Sequence[Clause]) -> tuple[list[Clause], list[Clause]]:
    """Clauses for the base (weights relative to its own idf) and for the tail (weights times idf)."""
    held = view.generation.lexical
    fresh = int(view.tail.alive.sum())
    if not fresh:
        return list(wanted), []
    base_count = held.statistics[bm25.BODY].documents if held else 0
    for_base, for_tail = [], []
    for name, term, weight in wanted:
        in_base = held.frequency(name, term) if held else 0
        in_tail = view.tail.frequency(name, term)
        idf = bm25.idf(base_count + fresh, in_base + in_tail)
        if in_base:
            for_base.append((name, term, weight * idf / bm25.idf(base_count, in_base)))
        if in_tail:
            for_tail.append((name, term, weight * idf))
    return for_base, for_tail


def averages(view: View) -> dict[str, float]:
    """The mean length of each field, in terms."""
    held = view.generation.lexical
    averages = {name: held.statistics[name].average if held else 0.0 for name in bm25.FIELDS}
    return {name: value or view.tail.average(name) for name, value in averages.items()}


def _base(
    view: View, held: Lexical, clauses: Sequence[Clause], *, k: int, mask: Mask | None
) -> tuple[Keys, Scores]:
    """The best ``k`` rows where ``mask`` is true: tantivy's ranking is read deeper until there are k or it
    ends; a small allowed set is handed to tantivy instead.
    """
    if mask is None:
        return held.search(clauses, limit=k)
    allowed = int(mask.sum())
    if not allowed:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    if allowed <= SET_LIMIT:
        return held.search(clauses, limit=k, among=view.generation.keys[mask])
    limit = int(1.2 * k * len(mask) / allowed) + 16
    while True:
        limit = min(limit, len(mask))
        keys, scores = held.search(clauses, limit=limit)
        seen = mask[view.generation.rows.of(keys)]
        if int(seen.sum()) >= k or len(keys) < limit or limit == len(mask):
            return keys[seen], scores[seen]
        limit *= 4
