"""The legs of a search: each brings candidates, and every candidate is scored by every leg that can.

    lexical      BM25 over everything (never routed)
    dense        exact dot products inside the planned leaves and the fresh tail, or over everything
    neighbours   routed search only: one hop over the neighbour graph from the best hits of both legs
    memory       the docid memory's shortlist, given by the caller
    sparse       learned sparse vectors, where there is a model: scored by the caller over everything folded
    named        chunks that alone hold a name that the query says, given by the caller

A chunk's dense score is computed whoever found it. BM25 is known only where the lexical leg looked:
elsewhere it is NaN, which means "below the cut" (``fuse`` knows what to do about it) – or zero where there
was no cut, because fewer chunks match than were asked for: the one page that holds a rare name must not look
like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import RetrieveSettings
from fingerpost.records import Candidates, Plan
from fingerpost.retrieve.fuse import neutral

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]

SEEDS = 20  # hits of each leg whose neighbours are looked at: more found nothing more (research: routing)
NO_KEYS: Keys = np.empty(0, np.int64)
NO_SCORES: Scores = np.empty(0, np.float32)

Q = TypeVar("Q", contravariant=True)
A = TypeVar("A", contravariant=True)


class Snapshot(Protocol[Q, A]):
    """What the legs need of a pinned store; keys are chunk keys (int64), scores float32, best first."""

    def lexical(self, query: Q, *, k: int, allow: A | None = None) -> tuple[Keys, Scores]:
        """BM25's best k chunks."""
        ...

    def dense(
        self, vector: Scores, *, k: int, leaves: NDArray[np.int32] | None, allow: A | None = None
    ) -> tuple[Keys, Scores, int]:
        """The best k chunks by dot product inside ``leaves`` (None: everything), and how many were scored."""
        ...

    def neighbours(self, keys: Keys) -> Keys:
        """[n, 16] keys of each chunk's nearest chunks, -1 where there is none."""
        ...

    def vectors(self, keys: Keys) -> Scores:
        """[n, d] unit vectors; a row of zeros where a chunk has none yet."""
        ...

    def doc_keys(self, keys: Keys) -> Keys:
        """The key of each chunk's document."""
        ...

    def ties(self, keys: Keys) -> NDArray[np.uint64]:
        """What equal scores are ordered by: a number of each chunk that does not hang on when it came."""
        ...

    def permitted(self, keys: Keys, allow: A | None) -> NDArray[np.bool_]:
        """For each chunk whether it stands and may be seen."""
        ...


@dataclass(frozen=True, slots=True)
class Request(Generic[Q, A]):
    """One search: the parsed query, its vector (None without an encoder), the plan, what may be seen.

    ``memory`` is the docid memory's shortlist: chunk keys and their scores. ``sparse`` are all chunks that
    have a sparse vector, keys ascending, and their scores. ``named`` are chunks that alone hold a name.
    """

    query: Q
    vector: Scores | None
    plan: Plan
    allow: A | None = None
    memory: tuple[Keys, Scores] = (NO_KEYS, NO_SCORES)
    sparse: tuple[Keys, Scores] = (NO_KEYS, NO_SCORES)
    named: Keys = field(default_factory=lambda: NO_KEYS)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The candidates, and for the trace: how many each leg brought, how many chunks were scored, and a note
    on a leg that could not be asked.
    """

    candidates: Candidates
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


def gather(snapshot: Snapshot[Q, A], request: Request[Q, A], settings: RetrieveSettings) -> Gathered:
    """The union of what the plan's legs find, in the order of their ties, each with the scores of every leg:
    so equal scores stay in that order wherever they are sorted, and sums over all come out the same.

    Without an encoder (``request.vector`` is None) only the lexical leg runs, and memory if given.
    """
    deep = _lexical(snapshot, request, settings.depth)
    lexical = (deep[0][: settings.depth], deep[1][: settings.depth])
    dense, scored = _dense(snapshot, request, settings.depth)
    hop = _hop(snapshot, request, (lexical[0], dense)) if _hops(request, settings) else NO_KEYS
    memory = _memory(snapshot, request)
    sparse = _sparse(snapshot, request, settings.depth)
    keys = np.unique(np.concatenate([lexical[0], dense, memory[0], sparse, request.named]))
    keys, hopped = _with_best(snapshot, request, (keys, np.setdiff1d(hop, keys)), settings.depth)
    keys = in_order(snapshot, keys)
    found = _at(keys, *deep)
    if 0 < len(deep[0]) < settings.depth:
        found = np.nan_to_num(found)
    scores = {"lexical": found, "dense": _dots(snapshot, request.vector, keys)}
    if len(memory[0]):
        scores["memory"] = _at(keys, *memory)
    if len(request.sparse[0]):
        scores["sparse"] = _at(keys, *request.sparse)
    if len(request.named):
        scores["named"] = _at(keys, request.named, np.ones(len(request.named), np.float32))
    counts = {
        "lexical": len(lexical[0]),
        "dense": len(dense),
        "neighbours": hopped,
        "memory": len(memory[0]),
        **({"sparse": len(sparse)} if len(request.sparse[0]) else {}),
        "union": len(keys),
        "scored": scored + len(hop),
    }
    return Gathered(Candidates(keys, snapshot.doc_keys(keys), scores), counts)


def _lexical(snapshot: Snapshot[Q, A], request: Request[Q, A], depth: int) -> tuple[Keys, Scores]:
    if "lexical" not in request.plan.legs and request.vector is not None:
        return NO_KEYS, NO_SCORES
    return snapshot.lexical(request.query, k=depth, allow=request.allow)


def _dense(snapshot: Snapshot[Q, A], request: Request[Q, A], depth: int) -> tuple[Keys, int]:
    if "dense" not in request.plan.legs or request.vector is None:
        return NO_KEYS, 0
    leaves = None if request.plan.full else np.asarray(request.plan.leaves, np.int32)
    keys, _, scored = snapshot.dense(request.vector, k=depth, leaves=leaves, allow=request.allow)
    return keys, scored


def _memory(snapshot: Snapshot[Q, A], request: Request[Q, A]) -> tuple[Keys, Scores]:
    if "memory" not in request.plan.legs:
        return NO_KEYS, NO_SCORES
    keys, scores = request.memory
    seen = snapshot.permitted(keys, request.allow)
    return keys[seen], scores[seen]


def _sparse(snapshot: Snapshot[Q, A], request: Request[Q, A], depth: int) -> Keys:
    """The best ``depth`` chunks that share a word piece with the query and may be seen."""
    keys, scores = request.sparse
    some = np.flatnonzero(scores > 0)
    some = some[snapshot.permitted(keys[some], request.allow)]
    return _best(snapshot, keys[some], scores[some], depth)


def _hops(request: Request[Q, A], settings: RetrieveSettings) -> bool:
    """A full search has already scored every neighbour."""
    return settings.hop and not request.plan.full and request.vector is not None


def _hop(snapshot: Snapshot[Q, A], request: Request[Q, A], found: tuple[Keys, ...]) -> Keys:
    seeds = np.unique(np.concatenate([keys[:SEEDS] for keys in found]))
    if not len(seeds):
        return NO_KEYS
    near = np.unique(snapshot.neighbours(seeds))
    near = near[near >= 0]
    return near[snapshot.permitted(near, request.allow)]


def _with_best(
    snapshot: Snapshot[Q, A], request: Request[Q, A], keys: tuple[Keys, Keys], depth: int
) -> tuple[Keys, int]:
    """``keys[0]`` and the best ``depth`` of the hop's new chunks ``keys[1]``, and how many those were."""
    known, new = keys
    if not len(new):
        return known, 0
    new = in_order(snapshot, new)
    best = _best(snapshot, new, np.nan_to_num(_dots(snapshot, request.vector, new), nan=-np.inf), depth)
    return np.union1d(known, best), len(best)


def in_order(snapshot: Snapshot[Q, A], keys: Keys) -> Keys:
    """Chunks in the order of their ties."""
    return keys[np.argsort(snapshot.ties(keys), kind="stable")]


def _best(snapshot: Snapshot[Q, A], keys: Keys, scores: Scores, depth: int) -> Keys:
    """The ``depth`` best; the ties of those alone are looked up that may be among them."""
    if len(keys) > depth:
        kept = scores >= np.partition(scores, len(keys) - depth)[len(keys) - depth]
        keys, scores = keys[kept], scores[kept]
    return keys[np.lexsort((snapshot.ties(keys), -scores))[:depth]]


def _dots(snapshot: Snapshot[Q, A], vector: Scores | None, keys: Keys) -> Scores:
    """Exact dot products; NaN without an encoder. Chunks whose vector is missing are neither near nor far."""
    if vector is None or not len(keys):
        return np.full(len(keys), np.nan, np.float32)
    vectors = snapshot.vectors(keys)
    return neutral(np.where(vectors.any(axis=1), vectors @ vector, np.nan).astype(np.float32))


def _at(keys: Keys, found: Keys, scores: Scores) -> Scores:
    """Each key's score among those found, NaN where it was not."""
    out = np.full(len(keys), np.nan, np.float32)
    _, here, there = np.intersect1d(keys, found, assume_unique=True, return_indices=True)
    out[here] = scores[there]
    return out
