"""Searching: route → retrieve → rerank, on one pinned snapshot, every stage timed and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fingerpost.index import auditing, expanding, planning, reasoning
from fingerpost.index.ranking import Asked, Ranked, look_again, rank
from fingerpost.index.rooms import Epoch, Rooms
from fingerpost.models.encoder import EncodedQuery, Encoder
from fingerpost.observe.trace import Recorder
from fingerpost.records import Candidates, Chunk, Plan, Trace
from fingerpost.rerank import cross
from fingerpost.retrieve import fuse, legs
from fingerpost.retrieve.sparse import Postings
from fingerpost.route.deep.served import SHORTLIST
from fingerpost.route.memory import Memory
from fingerpost.route.router import Router
from fingerpost.store.isolated import Isolated
from fingerpost.store.permits import Allow
from fingerpost.store.snapshot import MAX_K, Snapshot
from fingerpost.text import query as queries
from fingerpost.text.query import Query

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]
Run = list[tuple[str, float]]
VOTERS = 100
"""BM25's best chunks that vote for their leaves."""
Proposed = tuple[Keys, Scores]
NOBODY: Proposed = (legs.NO_KEYS, legs.NO_SCORES)
REMEMBERED = 20
"""Documents that the memory's rows bring, beside what the mapped query finds."""
LOOKS = 5
"""How often as many documents as wanted are asked of the DSI, where the asker may not see all of them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One search: what is asked, what it may see, and among how many results a document should be.
    ``hypothetical`` text is made-up evidence: it is encoded as passages are.
    """

    text: str
    filters: Sequence[str] = ()
    principals: Sequence[str] = ()
    hypothetical: bool = False
    k: int = 10


@dataclass(frozen=True)
class Found:
    """The ranking of one search, with all that explains it."""

    asked: Asked
    snapshot: Snapshot
    allow: Allow | None
    epoch: Epoch
    plan: Plan
    ranked: Ranked
    trace: Trace

    @property
    def keys(self) -> Keys:
        """Chunk keys, best first."""
        return self.ranked.candidates.keys[self.ranked.order]

    @property
    def scores(self) -> Scores:
        """Their scores."""
        return self.ranked.scores[self.ranked.order].astype(np.float32)

    def chunks(self, keys: Keys) -> list[Chunk]:
        """Chunks by key: those that ranking has read, the others from the store."""
        return self.ranked.chunks(self.snapshot, keys)

    def parts(self, at: Sequence[int]) -> list[dict[str, float]]:
        """What the scores of the candidates at these positions of the ranking are made of."""
        ranked, forest = self.ranked, self.epoch.judges.forest
        places = ranked.order[list(at)].tolist()
        if forest is None or ranked.rows is None:
            factors = [ranked.untrained.parts(place) for place in places]
        else:
            factors = forest.explain(ranked.rows[places])
        lifted = ({"exact": float(up)} if (up := ranked.lifted[place]) else {} for place in places)
        return [{**own, **extra} for own, extra in zip(factors, lifted, strict=True)]


class OneLook:
    """A snapshot that asks BM25 only once: its votes steer the router before the legs want its hits."""

    def __init__(self, snapshot: Snapshot, query: Query, *, k: int, allow: Allow | None) -> None:
        self._hits = snapshot.lexical(query, k=k, allow=allow)
        self.dense, self.neighbours, self.vectors = snapshot.dense, snapshot.neighbours, snapshot.vectors
        self.doc_keys, self.permitted, self.ties = snapshot.doc_keys, snapshot.permitted, snapshot.ties

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """BM25's best k chunks, from the one look."""
        return self._hits[0][:k], self._hits[1][:k]


def find(rooms: Rooms, request: Request, *, full: bool = False) -> Found:
    """Route, retrieve and rerank one query, after reasoning where the settings ask for it; ``full`` searches
    everything whatever the router says.

    Raises UsageError for a query or filter that is not valid.
    """
    with rooms.turns.query():
        snapshot = rooms.store.snapshot()
        found = find_once(rooms, request, snapshot, full=full)
    if rooms.settings.retrieve.reason == "off":
        return found

    def search(text: str, hypothetical: bool) -> Found:
        variant = replace(request, text=text, hypothetical=hypothetical)
        with rooms.turns.query():
            return find_once(rooms, variant, snapshot, full=full)

    return reasoning.widened(rooms, found, search)


def find_once(rooms: Rooms, request: Request, snapshot: Snapshot, *, full: bool = False) -> Found:
    """Route, retrieve and rerank the request's own text on a pinned snapshot."""
    query = queries.parse(request.text)
    allow = snapshot.allow(request.filters or None, request.principals)
    if rooms.settings.store.isolation == "strict":
        snapshot = Isolated(snapshot, snapshot.allow(None, request.principals))
    epoch = Epoch() if isinstance(snapshot, Isolated) else rooms.current(snapshot)
    encoder = rooms.asking(epoch)
    recorder = Recorder()
    with recorder.stage("encode"):
        asked = Asked(query, encoded(encoder, query.text, request) if encoder else None)
    with recorder.stage("route") as stage:
        epoch = epoch.for_query(asked.encoded)
        if epoch.stranger and asked.encoded is not None:
            asked = Asked(query, asked.encoded.plain())
        once, plan = route(rooms, snapshot, epoch, asked, allow)
        if full and not plan.full:
            plan = Plan(legs=("lexical", "dense"), reason="full search: asked for")
        stage.counts["leaves"], stage.note = float(len(plan.leaves)), plan.reason
    with recorder.stage("retrieve") as stage:
        proposed = propose(rooms, snapshot, epoch, asked, allow)
        sight = Sight(snapshot, plan, allow, epoch.judges.memory, proposed, epoch.sparse)
        gathered = gather(rooms, once, asked, sight)
        stage.counts.update({name: float(count) for name, count in gathered.counts.items()})
        if asked.encoded is not None and auditing.due(rooms, plan, query.text):
            recall = auditing.audit(rooms, snapshot, asked.encoded.vector, gathered, allow)
            stage.counts["scored"] += float(snapshot.n_chunks)
            stage.note = f"audited: {recall:.0%} of the exhaustive top {auditing.TOP} were found"
        stage.counts["chunks"] = float(snapshot.n_chunks if allow is None else allow.n_chunks)
        stage.note = " · ".join(filter(None, (stage.note, without_vectors(snapshot.missing(allow)))))
    with recorder.stage("rerank") as stage:
        given, settings = gathered.candidates, rooms.settings.rerank
        scale = planning.Scale(snapshot.n_chunks, request.k)
        effort = planning.effort(asked, given, epoch.judges, settings, scale)
        look = look_again(snapshot, asked, given, epoch.judges, effort=effort)
        plan = replace(plan, rerank_depth=effort.depth)
        ranked = rank(snapshot, asked, look, epoch.judges)
        confidence = ranked.confidence(epoch.judges)
        ranked, note = read_together(rooms, snapshot, asked, ranked)
        stage.counts["candidates"] = float(len(ranked.scores))
        stage.note = judged_by(ranked, epoch) + planning.SAID.get(effort, "") + note
    trace = recorder.trace(request.text, generation=snapshot.generation, plan=plan)
    trace = replace(trace, confidence=None if note else confidence)  # another order, other chances
    return Found(asked, snapshot, allow, epoch, plan, ranked, trace)


def encoded(encoder: Encoder, text: str, request: Request) -> EncodedQuery:
    """The vectors of a request's text."""
    return encoder.encode_evidence(text) if request.hypothetical else encoder.encode_query(text)


def judged_by(ranked: Ranked, epoch: Epoch) -> str:
    """Who ranked, for the trace."""
    who = "untrained sum" if ranked.rows is None else "learned fusion"
    strange = ": the query is unlike those it was taught" if epoch.stranger else ""
    return who + strange


def without_vectors(missing: int) -> str:
    """The note of a trace when the dense leg could not see some of what may be seen."""
    return f"{missing:,} chunks have no vector: run `fingerpost doctor --repair`" if missing else ""


def read_together(rooms: Rooms, snapshot: Snapshot, asked: Asked, ranked: Ranked) -> tuple[Ranked, str]:
    """The first candidates in a cross-encoder's order, where one is configured, and a note for the trace."""
    encoder, depth = rooms.cross_encoder, rooms.settings.rerank.cross_depth
    if encoder is None or not depth or not len(ranked.scores):
        return ranked, ""
    order = ranked.order
    passages = [chunk.text for chunk in ranked.chunks(snapshot, ranked.candidates.keys[order[:depth]])]
    judged = cross.rerank(encoder, asked.query.text, passages, ranked.scores[order])
    scores = ranked.scores.copy()
    scores[order] = judged.scores
    return replace(
        ranked, scores=scores
    ), f", cross-encoder on {len(passages)}{judged.note and ': '}{judged.note}"


def extended(trace: Trace, recorder: Recorder) -> Trace:
    """A search's trace with the stages that came after it."""
    return replace(trace, stages=(*trace.stages, *recorder.trace("", generation=0).stages))


@dataclass(frozen=True, slots=True)
class Sight:
    """Where candidates may come from. ``proposed`` are documents that the DSI names, by key, with their
    log-probabilities.
    """

    snapshot: Snapshot
    plan: Plan
    allow: Allow | None
    memory: Memory | None = None
    proposed: Proposed = NOBODY
    sparse: Postings | None = None


def gather(rooms: Rooms, look: OneLook, asked: Asked, sight: Sight) -> legs.Gathered:
    """The candidates of all legs."""
    vector = asked.encoded.vector if asked.encoded else None
    plan, remembered = sight.plan, (legs.NO_KEYS, legs.NO_SCORES)
    learned = len(sight.proposed[0]) or (sight.memory is not None and sight.memory.trained)
    if vector is not None and learned:
        remembered = remember(sight, vector, depth=rooms.settings.retrieve.depth)
        plan = Plan(legs=(*plan.legs, "memory"), full=plan.full, leaves=plan.leaves)
    sparse = expanding.scores(rooms, sight.sparse, asked.query.text)
    asked_legs: legs.Request[Query, Allow] = legs.Request(
        asked.query, vector, plan, sight.allow, remembered, sparse
    )
    return with_chances(legs.gather(look, asked_legs, rooms.settings.retrieve), sight.proposed)


def with_chances(gathered: legs.Gathered, proposed: Proposed) -> legs.Gathered:
    """The candidates with the log-probability of the documents that the DSI proposed, NaN for the others."""
    keys, chances = proposed
    if not len(keys):
        return gathered
    found, order = gathered.candidates, np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], found.docs), len(keys) - 1)
    named = keys[order][at] == found.docs
    column = np.where(named, chances[order][at], np.nan).astype(np.float32)
    return replace(gathered, candidates=replace(found, scores={**found.scores, "router": column}))


def remember(sight: Sight, vector: Scores, *, depth: int) -> tuple[Keys, Scores]:
    """What was learned brings: chunks that the memory's mapped query finds, those of documents it was taught,
    and those of documents that the DSI proposes.
    """
    snapshot, memory = sight.snapshot, sight.memory
    moved, near, documents = vector, legs.NO_KEYS, sight.proposed[0]
    if memory is not None and memory.trained:
        moved = memory.map(vector)
        leaves = None if sight.plan.full else np.asarray(sight.plan.leaves, np.int32)
        near, _, _ = snapshot.dense(moved, k=depth, leaves=leaves, allow=sight.allow)
        documents = np.union1d(documents, memory.shortlist(vector, REMEMBERED)[0])
    taught = snapshot.chunk_keys(documents)
    keys = legs.in_order(snapshot, np.union1d(near, taught[snapshot.permitted(taught, sight.allow)]))
    return keys, (snapshot.vectors(keys) @ moved).astype(np.float32)


def propose(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, asked: Asked, allow: Allow | None = None
) -> Proposed:
    """The documents that the epoch's DSI names for a query, as far as the asker may see them."""
    if epoch.dsi is None or asked.encoded is None or rooms.encoder is None:
        return NOBODY
    said = asked.encoded.plain()
    ranked = epoch.dsi.checked(rooms.encoder.fingerprint).ranked(said.vector, said.tokens)
    found: list[tuple[int, float]] = []
    for _ in range(LOOKS):
        named = list(islice(ranked, SHORTLIST))
        chunks = snapshot.chunk_keys(np.array([key for key, _ in named], np.int64))
        seen = set(snapshot.doc_keys(chunks[snapshot.permitted(chunks, allow)]).tolist())
        found += [(key, chance) for key, chance in named if key in seen]
        if len(found) >= SHORTLIST or len(named) < SHORTLIST:
            break
    keys, chances = zip(*found[:SHORTLIST], strict=True) if found else ((), ())
    return np.array(keys, np.int64), np.array(chances, np.float32)


def route(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, asked: Asked, allow: Allow | None = None
) -> tuple[OneLook, Plan]:
    """BM25's one look at everything, and the plan that it helps to make."""
    once = OneLook(snapshot, asked.query, k=rooms.settings.retrieve.depth, allow=allow)
    voters = once.lexical(asked.query, k=VOTERS)[0]
    return once, plan_for(rooms, snapshot, epoch, asked.encoded, voters)


def replayed(
    rooms: Rooms,
    snapshot: Snapshot,
    epoch: Epoch,
    asked: Asked,
    *,
    memory: Memory | None = None,
    proposed: Proposed = NOBODY,
) -> Candidates:
    """What the plan's legs bring to a question of a lesson, with this memory and these proposals."""
    once, plan = route(rooms, snapshot, epoch, asked)
    sight = Sight(snapshot, plan, None, memory, proposed, epoch.sparse)
    return gather(rooms, once, asked, sight).candidates


def plan_for(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, encoded: EncodedQuery | None, voters: Keys
) -> Plan:
    """Where to look: the router's plan, or everything and the reason why."""
    if encoded is None:
        return Plan(legs=("lexical",), reason="lexical only: the index has no encoder")
    if isinstance(snapshot, Isolated):
        return Plan(legs=("lexical", "dense"), reason="full search: strict isolation")
    if epoch.router is None:
        return Plan(
            legs=("lexical", "dense"), reason=f"full search: {epoch.unfit or 'nothing is folded yet'}"
        )
    off = rooms.audit.verdict(rooms.settings.route.recall)
    if off:
        return Plan(legs=("lexical", "dense"), reason=f"full search: {off}")
    votes = votes_of(snapshot, epoch.router, voters)
    return epoch.router.plan(encoded.vector, votes, settings=rooms.settings.route, n_chunks=snapshot.n_chunks)


def votes_of(snapshot: Snapshot, router: Router, voters: Keys) -> Scores:
    """How many of BM25's best chunks lie in each leaf, [L]; those of the tail have no leaf."""
    leaves = snapshot.leaf_of(voters)
    return np.bincount(leaves[leaves >= 0], minlength=router.n_leaves).astype(np.float32)


def leaf_votes(snapshot: Snapshot, router: Router, query: Query, allow: Allow | None = None) -> Scores:
    """How BM25 votes on the leaves for a query, [L]."""
    return votes_of(snapshot, router, snapshot.lexical(query, k=VOTERS, allow=allow)[0])


def exhaustive(found: Found) -> Mapping[str, Keys]:
    """Each leg's ranking of everything the caller may see, to any depth: what a miss is judged by."""
    most = max(1, min(found.snapshot.n_chunks, MAX_K))
    ranked = {"lexical": found.snapshot.lexical(found.asked.query, k=most, allow=found.allow)[0]}
    if found.asked.encoded is not None:
        ranked["dense"] = found.snapshot.dense(found.asked.encoded.vector, k=most, allow=found.allow)[0]
    return ranked


def by_document(
    snapshot: Snapshot, keys: Keys, scores: Scores, *, k: int, names: dict[int, str] | None = None
) -> Run:
    """Documents by their best chunk, best first; ``keys`` come best first. ``names`` are the ids known so far
    by document key: what is missing is read and added. A key is never used again, so they stay true.
    """
    docs = snapshot.doc_keys(keys)
    _, first = np.unique(docs, return_index=True)
    first = np.sort(first)[:k]
    chosen, known = docs[first].tolist(), {} if names is None else names
    unknown = [key for key in chosen if key not in known]
    known.update(zip(unknown, (document.doc_id for document in snapshot.about(unknown)), strict=True))
    return [(known[key], score) for key, score in zip(chosen, scores[first].tolist(), strict=True)]


def rankings(
    rooms: Rooms, request: Request, *, k: int, names: dict[int, str] | None = None
) -> Mapping[str, Run]:
    """For evaluation: the ``k`` best documents of each leg, of their plain fusion, and of the search. Who
    asks many questions keeps the ``names`` of documents from one to the next.
    """
    found = find(rooms, replace(request, k=k))
    snapshot, deep = found.snapshot, 3 * k
    known = {} if names is None else names
    lexical = snapshot.lexical(found.asked.query, k=deep, allow=found.allow)
    ranked = {"lexical": by_document(snapshot, *lexical, k=k, names=known)}
    if found.asked.encoded is not None:
        keys, scores, _ = snapshot.dense(found.asked.encoded.vector, k=deep, allow=found.allow)
        ranked["dense"] = by_document(snapshot, keys, scores, k=k, names=known)
    ranked["hybrid"] = reciprocal_ranks(list(ranked.values()), k=k)
    ranked["search"] = by_document(snapshot, found.keys, found.scores, k=k, names=known)
    return ranked


def reciprocal_ranks(runs: Sequence[Run], *, k: int) -> Run:
    """Reciprocal rank fusion of document rankings.

    >>> [doc for doc, _ in reciprocal_ranks([[("a", 9.0), ("b", 5.0)], [("b", 0.7), ("c", 0.6)]], k=2)]
    ['b', 'a']
    """
    total: dict[str, float] = {}
    for run in runs:
        for place, (doc_id, _) in enumerate(run, start=1):
            total[doc_id] = total.get(doc_id, 0.0) + 1.0 / (fuse.RRF_K + place)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:k]
