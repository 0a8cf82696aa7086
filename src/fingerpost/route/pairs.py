"""Training pairs as arrays: checked, grouped and folded so that no split leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import InputError
from fingerpost.route import address
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.wording import SILENT, Wording
from fingerpost.text.counts import counted

LEAST = 20
"""Fewer pairs than this teach nothing that could be checked."""
QUESTIONS = 5
"""So many different questions are needed to hold one in five out."""
CLAIM = 0.3
"""A document claimed by a larger share of all queries is taken for poison."""
ALIKE = 0.95
"""Queries of at least this cosine fall on the same side of every split."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """``queries`` [m, d] unit length; pair i says that query ``query[i]`` is answered by document
    ``doc[i]`` (a key).

    ``weight`` [p] ≤ 1; ``gold`` [p]: a person's judgement or click, not a generated question. ``wording`` are
    the queries' words, where they are known. ``own`` [m] are the documents that a query is itself and
    that do not compete for it, -1 for none; empty where no query is one.
    """

    queries: F32
    query: I64
    doc: I64
    weight: F32
    gold: NDArray[np.bool_]
    wording: Wording = SILENT
    own: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def only(self, kept: NDArray[np.bool_] | I64) -> Pairs:
        """The pairs where ``kept`` [p] is true, or of these numbers (all queries stay)."""
        columns = {name: getattr(self, name)[kept] for name in ("query", "doc", "weight", "gold")}
        return replace(self, **columns)

    def places_of_own(self, names: I64, documents: I64) -> tuple[I64, I64]:
        """Which of the queries ``names`` are one of the ``documents`` (ascending) themselves, and which one.

        >>> given = replace(pairs(np.eye(2), [0, 1], [7, 8]), own=np.array([-1, 7]))
        >>> [part.tolist() for part in given.places_of_own(np.array([0, 1]), np.array([5, 7, 8]))]
        [[1], [1]]
        """
        return places(self.own[names] if len(self.own) else self.own, documents)


def places(own: I64, documents: I64) -> tuple[I64, I64]:
    """Which of ``own`` (-1: nobody) are among the ``documents`` (ascending), and where there."""
    rows = np.flatnonzero(own >= 0)
    if len(rows):
        rows = rows[np.isin(own[rows], documents)]
    return rows, np.searchsorted(documents, own[rows])


def pairs(
    queries: NDArray[np.floating],
    query: Sequence[int] | I64,
    doc: Sequence[int] | I64,
    *,
    weight: NDArray[np.floating] | None = None,
    gold: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Pairs of equal weight, all gold, unless said otherwise.

    >>> pairs(np.eye(2), [0, 1], [7, 8]).weight.tolist()
    [1.0, 1.0]
    """
    count = len(query)
    return Pairs(
        np.asarray(queries, dtype=np.float32),
        np.asarray(query, dtype=np.int64),
        np.asarray(doc, dtype=np.int64),
        np.ones(count, np.float32) if weight is None else np.asarray(weight, dtype=np.float32),
        np.ones(count, np.bool_) if gold is None else np.asarray(gold, dtype=np.bool_),
    )


def checked(given: Pairs, known: I64) -> tuple[Pairs, tuple[str, ...]]:
    """The usable pairs and what was left out, in words. ``known``: the index's document keys.

    Raises InputError E_PAIRS: NaN, weights out of range, too few pairs, most documents unknown, all pairs of
    one document, or one document claimed by a third of all queries (a poisoned log, or a broken join).
    """
    finite = np.isfinite(given.queries).all() and np.isfinite(given.weight).all()
    if not finite or (given.weight < 0).any():
        raise _bad(
            "query vectors or weights hold NaN, infinity or negative numbers", "encode the queries again"
        )
    here = np.isin(given.doc, known) & (given.weight > 0)
    gone = int((~here).sum())
    usable = _unique(given.only(here))
    if len(usable.query) < LEAST:
        raise _bad(
            f"{counted(len(usable.query), 'usable pair')} ({gone} of unknown documents), {LEAST} needed",
            "give more pairs, or compile the documents they name first",
        )
    if gone > len(given.doc) / 2:
        raise _bad(f"{gone} of {len(given.doc)} pairs name documents that are not here", "check the ids")
    _unpoisoned(usable)
    return usable, (f"{gone} of {len(given.doc)} pairs left out: unknown documents",) if gone else ()


def unseen_rate(given: Pairs) -> float:
    """How likely the next query asks for a document no query has asked for: Good–Turing, n₁ / n.

    Good 1953, doi:10.1093/biomet/40.3-4.237.

    >>> unseen_rate(pairs(np.eye(3), [0, 1, 2], [7, 7, 8]))
    0.3333333333333333
    """
    _, counts = np.unique(given.doc, return_counts=True)
    return float((counts == 1).sum() / counts.sum())


def groups(queries: F32, *, alike: float = ALIKE) -> I64:
    """A group number per query, [m]: near-duplicates share one (compared inside leaves of 512 queries).

    >>> groups(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)).tolist()
    [0, 0, 2]
    """
    group = np.arange(len(queries))
    laid = address.build(queries, leaf_chunks=512, seed=0)
    for start, end in zip(laid.leaf_offsets[:-1], laid.leaf_offsets[1:], strict=True):
        rows = np.sort(laid.order[start:end])
        same = queries[rows] @ queries[rows].T >= alike
        np.fill_diagonal(same, True)
        names = np.arange(len(rows))
        for _ in range(4):
            names = np.where(same, names[None, :], len(rows)).min(axis=1)
        group[rows] = rows[names]
    return group


def families(group: I64, documents: Sequence[str]) -> I64:
    """A family number per query, [m]: those of one ``group`` [m] or of one of the ``documents`` [m] share it,
    and whoever shares one with them. All of a family fall on one side of a split, or it leaks.

    >>> families(np.array([0, 0, 2, 3]), ["a", "b", "b", "c"]).tolist()
    [0, 0, 0, 3]
    """
    names = np.arange(len(group))
    sides = [np.unique(each, return_inverse=True)[1] for each in (group, np.array(documents, dtype=str))]
    while True:
        before = names
        for side in sides:
            least = np.full(len(names), len(names))
            np.minimum.at(least, side, names)
            names = least[side]
        if np.array_equal(before, names):
            return names.astype(np.int64)


def aside(family: Sequence[str], share: float, *, seed: int) -> NDArray[np.bool_]:
    """A draw of about a ``share`` of the queries, [m]: whole families.

    >>> aside(["a", "a", "b", "b"], 0.5, seed=0).tolist()
    [False, False, True, True]
    """
    names, which = np.unique(np.array(family, dtype=str), return_inverse=True)
    drawn: NDArray[np.bool_] = (np.random.default_rng(seed).random(len(names)) < share)[which]
    return drawn


def folds(queries: F32, count: int, *, seed: int) -> I64:
    """A fold number per query, [m], near-duplicates together.

    >>> folds(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32), 2, seed=0).tolist()
    [0, 0, 1]
    """
    _, compact = np.unique(groups(queries), return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(int(compact.max()) + 1)
    return np.asarray(shuffled[compact] % count, dtype=np.int64)


def _unique(given: Pairs) -> Pairs:
    """A pair said twice counts once, with the larger weight."""
    order = np.lexsort((-given.weight, given.doc, given.query))
    twice = (np.diff(given.query[order]) == 0) & (np.diff(given.doc[order]) == 0)
    keep = np.sort(order[np.concatenate([[True], ~twice])]) if len(order) else order
    return given.only(keep)


def _unpoisoned(given: Pairs) -> None:
    documents, counts = np.unique(given.doc, return_counts=True)
    queries = len(np.unique(given.query))
    if queries < QUESTIONS:
        raise _bad(
            f"{len(given.query)} pairs ask only {counted(queries, 'different question')}, {QUESTIONS} needed",
            "give pairs of more questions",
        )
    if len(documents) < 2:
        raise _bad(
            f"all {queries} queries ask for the same document: there is nothing to tell it from",
            "give pairs of several documents",
        )
    if len(documents) > 3 and counts.max() > CLAIM * queries:
        raise _bad(
            f"document {documents[counts.argmax()]} is claimed by {counts.max()} of {queries} queries",
            "take out these pairs, or train them apart",
        )


def _bad(what: str, cure: str) -> InputError:
    return InputError("E_PAIRS", what, cure=cure)
