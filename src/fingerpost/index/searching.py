"""Searching: route → retrieve → rerank, on one pinned snapshot, every stage timed and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.rooms import Epoch, Rooms
from fingerpost.models.encoder import EncodedQuery
from fingerpost.observe.trace import Recorder
from fingerpost.records import Candidates, Hit, Plan
from fingerpost.rerank import late
from fingerpost.retrieve import fuse, legs
from fingerpost.store.permits import Allow
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as queries
from fingerpost.text.query import Query

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]
VOTERS = 100
"""BM25's best chunks that vote for their leaves."""


@dataclass(frozen=True, slots=True)
class Request:
    """One search: what is asked, what it may see, and how deep to look again."""

    text: str
    filters: Sequence[str] = ()
    principals: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """The ranking of one search: positions into ``candidates``, best first, and why."""

    query: Query
    snapshot: Snapshot
    allow: Allow | None
    plan: Plan
    candidates: Candidates
    fused: fuse.Fused
    order: NDArray[np.intp]
    recorder: Recorder = field(default_factory=Recorder)

    def hits(self, k: int) -> list[Hit]:
        """The first ``k`` chunks, each with its score's parts."""
        first = self.order[:k]
        chunks = self.snapshot.chunks(self.candidates.keys[first])
        return [
            Hit(
                int(self.candidates.keys[at]),
                c.chunk_id,
                c.doc_id,
                float(self.fused.scores[at]),
                self.parts(int(at)),
            )
            for at, c in zip(first, chunks, strict=True)
        ]

    def parts(self, at: int) -> dict[str, float]:
        """What a candidate's score is made of, and the raw score of each leg that found it."""
        raw = {f"{leg}_raw": float(s[at]) for leg, s in self.candidates.scores.items() if np.isfinite(s[at])}
        return {**self.fused.parts(at), **raw}


class OneLook:
    """A snapshot that asks BM25 only once: its votes steer the router before the legs want its hits."""

    def __init__(self, snapshot: Snapshot, query: Query, *, k: int, allow: Allow | None) -> None:
        self._snapshot, self._k = snapshot, k
        self._hits = snapshot.lexical(query, k=k, allow=allow)
        self.dense, self.neighbours, self.vectors = snapshot.dense, snapshot.neighbours, snapshot.vectors
        self.doc_keys, self.permitted = snapshot.doc_keys, snapshot.permitted

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """BM25's best k chunks, from the one look."""
        return self._hits[0][:k], self._hits[1][:k]


def find(rooms: Rooms, request: Request) -> Found:
    """Route, retrieve and rerank one query. Raises UsageError for a query or filter that is not valid."""
    query = queries.parse(request.text)
    snapshot = rooms.store.snapshot()
    epoch = rooms.epoch(snapshot)
    recorder = Recorder()
    settings = rooms.settings
    allow = snapshot.allow(list(request.filters) or None, list(request.principals))
    with recorder.stage("encode"):
        encoded = rooms.encoder.encode_query(query.text) if rooms.encoder else None
    with recorder.stage("route") as stage:
        look = OneLook(snapshot, query, k=settings.retrieve.depth * legs.LOOKUP, allow=allow)
        plan = plan_for(rooms, snapshot, epoch, encoded, look.lexical(query, k=VOTERS)[0])
        stage.counts["leaves"], stage.note = float(len(plan.leaves)), plan.reason
    with recorder.stage("retrieve") as stage:
        asked = legs.Request(query, encoded.vector if encoded else None, plan, allow)
        gathered = legs.gather(look, asked, settings.retrieve)
        stage.counts.update({name: float(count) for name, count in gathered.counts.items()})
        stage.counts["chunks"] = float(snapshot.n_chunks if allow is None else allow.n_chunks)
    with recorder.stage("rerank") as stage:
        candidates = with_late(snapshot, epoch, gathered.candidates, encoded, depth=settings.rerank.depth)
        fused = fuse.standardised(candidates.scores)
        order = fused.order(candidates.keys)
        stage.counts["candidates"] = float(len(order))
    return Found(query, snapshot, allow, plan, candidates, fused, order, recorder)


def plan_for(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, encoded: EncodedQuery | None, voters: Keys
) -> Plan:
    """Where to look: the router's plan, or everything and the reason why."""
    if encoded is None:
        return Plan(legs=("lexical",), reason="lexical only: the index has no encoder")
    if epoch.router is None:
        return Plan(legs=("lexical", "dense"), reason="full search: nothing is folded yet")
    leaves = snapshot.leaf_of(voters)
    votes = np.bincount(leaves[leaves >= 0], minlength=epoch.router.n_leaves)
    return epoch.router.plan(encoded.vector, votes, settings=rooms.settings.route, n_chunks=snapshot.n_chunks)


def with_late(
    snapshot: Snapshot, epoch: Epoch, candidates: Candidates, encoded: EncodedQuery | None, *, depth: int
) -> Candidates:
    """The candidates with MaxSim scores; beyond ``depth`` by the other legs they stay unscored (NaN)."""
    if encoded is None or epoch.codec is None or not len(candidates.keys) or not depth:
        return candidates
    first = np.argsort(-fuse.standardised(candidates.scores).scores, kind="stable")[:depth]
    codes = [bytes(code) for code in snapshot.token_codes(candidates.keys[first])]
    prepared = late.prepare(epoch.codec, encoded.tokens, encoded.token_ids)
    scores = np.full(len(candidates.keys), np.nan, np.float32)
    scores[first] = late.maxsim(epoch.codec, prepared, codes).idf
    return Candidates(candidates.keys, candidates.docs, {**candidates.scores, "maxsim": scores})


def by_document(keys: Keys, scores: Scores, snapshot: Snapshot, *, k: int) -> list[tuple[str, float]]:
    """Documents by their best chunk, best first; ``keys`` come best first."""
    docs = snapshot.doc_keys(keys)
    _, first = np.unique(docs, return_index=True)
    first = np.sort(first)[:k]
    about = snapshot.about(docs[first])
    return [(document.doc_id, float(scores[at])) for document, at in zip(about, first, strict=True)]


def rankings(rooms: Rooms, request: Request, *, k: int) -> Mapping[str, list[tuple[str, float]]]:
    """For evaluation: the ``k`` best documents of each leg, of their plain fusion, and of the search."""
    found = find(rooms, request)
    snapshot, deep = found.snapshot, 3 * k
    ranked = {
        "lexical": by_document(*snapshot.lexical(found.query, k=deep, allow=found.allow), snapshot, k=k)
    }
    if rooms.encoder is not None:
        vector = rooms.encoder.encode_query(found.query.text).vector
        keys, scores, _ = snapshot.dense(vector, k=deep, allow=found.allow)
        ranked["dense"] = by_document(keys, scores, snapshot, k=k)
    ranked["hybrid"] = reciprocal_ranks(list(ranked.values()), k=k)
    order = found.order
    ranked["search"] = by_document(
        found.candidates.keys[order], found.fused.scores[order].astype(np.float32), snapshot, k=k
    )
    return ranked


def reciprocal_ranks(runs: Sequence[list[tuple[str, float]]], *, k: int) -> list[tuple[str, float]]:
    """Reciprocal rank fusion of document rankings.

    >>> [doc for doc, _ in reciprocal_ranks([[("a", 9.0), ("b", 5.0)], [("b", 0.7), ("c", 0.6)]], k=2)]
    ['b', 'a']
    """
    total: dict[str, float] = {}
    for run in runs:
        for rank, (doc_id, _) in enumerate(run, start=1):
            total[doc_id] = total.get(doc_id, 0.0) + 1.0 / (fuse.RRF_K + rank)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:k]
