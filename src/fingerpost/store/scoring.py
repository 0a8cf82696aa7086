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
Hits = tuple[NDArray[np.int64], Scores]
"""Rows of the base or of the tail, and their scores."""
NOTHING: Hits = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))

MOST_TERMS = 64
"""Terms of a query that BM25 looks up: the rest of a pasted page costs time and gains nothing (LOG.md)."""


TIED = 4_096
"""So many of BM25's chunks are read to find all that equal the last one wanted; among more, the older ones
stand first.
"""
_SPARE = 16


def best(keys: Keys, scores: Scores, equal: NDArray[np.integer], k: int) -> tuple[Keys, Scores]:
    """The ``k`` best, best first; equal scores in the order of their ties ``equal``.

    >>> best(np.array([3, 1, 2]), np.array([1, 1, 2], dtype=np.float32), np.array([7, 8, 9]), 2)[0].tolist()
    [2, 3]
    """
    order = np.lexsort((equal, -scores))[:k]
    return keys[order], scores[order]


def settled(scores: Scores) -> Scores:
    """BM25's scores to four digits: the same chunk's differ in the last bits between base and tail.

    >>> settled(np.array([10.000001, 10.0], dtype=np.float32)).tolist()
    [10.0, 10.0]
    """
    bits = np.ascontiguousarray(scores, dtype=np.float32).view(np.int32)
    return np.asarray((bits + (1 << 9)) & ~((1 << 10) - 1), dtype=np.int32).view(np.float32)


def ties(view: View, keys: Keys, rows: NDArray[np.int64], fresh: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The ties of chunks, given their rows in the base and in the tail (-1: not there)."""
    if view.generation.ties is None:
        return keys.astype(np.uint64)
    found = np.empty(len(keys), dtype=np.uint64)
    found[rows >= 0] = view.generation.ties[rows[rows >= 0]]
    if len(later := fresh[fresh >= 0]):
        found[fresh >= 0] = view.tail.ties(later)
    return found


def ranked(view: View, base: Hits, tail: Hits, k: int) -> tuple[Keys, Scores]:
    """The ``k`` best of rows of the base and of the tail, each given with its scores."""
    held, base, tail = view.generation, _foremost(base, k), _foremost(tail, k)
    keys = np.concatenate([held.keys[base[0]], view.tail.keys[tail[0]]])
    equal = keys if held.ties is None else np.concatenate([held.ties[base[0]], view.tail.ties(tail[0])])
    return best(keys, np.concatenate([base[1], tail[1]]).astype(np.float32), equal, k)


def _foremost(hits: Hits, k: int) -> Hits:
    """The ``k`` best and those that equal the last of them: whose ties are worth looking up."""
    rows, scores = hits
    if len(rows) <= k:
        return hits
    kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
    return rows[kept], scores[kept]


def dense(
    view: View, vector: NDArray[np.float32], *, k: int, runs: Sequence[Run], base: Mask | None, tail: Mask
) -> tuple[Keys, Scores, int]:
    """See Snapshot.dense."""
    rows, scores, scored = view.generation.slices.search(vector, k=k, runs=runs, mask=base)
    fresh = view.tail.dense(vector, tail) if view.tail.count else NOTHING
    return (*ranked(view, (rows, scores), fresh, k), scored + len(fresh[0]))


def lexical(view: View, query: Query, *, k: int, base: Mask | None, tail: Mask) -> tuple[Keys, Scores]:
    """See Snapshot.lexical."""
    wanted = [(bm25.BODY, term, 1.0) for term in rarest(view, query.terms)]
    wanted += [(bm25.CODE, code, bm25.CODE_BOOST) for code in query.codes]
    held = view.generation.lexical
    for_base, for_tail = _weighted(view, wanted)
    found = fresh = NOTHING
    if held is not None and for_base:
        found = _base(view, held, for_base, k=k, mask=base)
    if for_tail:
        fresh = view.tail.lexical(for_tail, averages(view), tail)
    return ranked(view, (found[0], settled(found[1])), (fresh[0], settled(fresh[1])), k)


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


def _base(view: View, held: Lexical, clauses: Sequence[Clause], *, k: int, mask: Mask | None) -> Hits:
    """The best ``k`` rows where ``mask`` is true and those that equal the last of them: tantivy's ranking is
    read deeper until it is past them or ends; a small allowed set is handed to tantivy instead.
    """
    rows, total = view.generation.rows, len(view.generation.keys)
    allowed = total if mask is None else int(mask.sum())
    if not allowed:
        return NOTHING
    if mask is not None and allowed <= SET_LIMIT:
        keys, scores = held.search(clauses, limit=allowed, among=view.generation.keys[mask])
        return rows.of(keys), scores
    limit = int((1.0 if mask is None else 1.2 * total / allowed) * k) + _SPARE
    while True:
        limit = min(limit, total)
        keys, scores = held.search(clauses, limit=limit)
        found = rows.of(keys)
        seen = np.ones(len(found), dtype=np.bool_) if mask is None else mask[found]
        kept = scores[seen]
        if len(keys) < limit or limit == total:
            return found[seen], kept
        if len(kept) >= k and (limit >= TIED or settled(kept[k - 1 : k]) > settled(scores[-1:])):
            return found[seen], kept
        limit *= 4
