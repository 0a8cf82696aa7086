"""From a question to its candidates: where to look, and what each leg brings from there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from fingerpost.errors import NotFoundError
from fingerpost.index.build import expanding
from fingerpost.index.epoch import Epoch
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import itself
from fingerpost.index.search.found import Keys, Scores
from fingerpost.index.search.ranking import Asked
from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import Candidates, Plan
from fingerpost.rerank import exact
from fingerpost.retrieve import legs
from fingerpost.retrieve.sparse import Postings
from fingerpost.route.deep.served import SHORTLIST
from fingerpost.route.memory import Memory
from fingerpost.route.router import Router
from fingerpost.store.isolated import Isolated
from fingerpost.store.permits import Allow
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.query import Query

VOTERS = 100
"""BM25's best chunks that vote for their leaves."""
NAMED = 100
"""Chunks of a document that is asked for by its name, at most."""
HOLDERS = 32
"""Chunks that hold a name, from which on it is one of many."""
Proposed = tuple[Keys, Scores]
NOBODY: Proposed = (legs.NO_KEYS, legs.NO_SCORES)
REMEMBERED = 20
"""Documents that the memory's rows bring, beside what the mapped query finds."""
LOOKS = 5
"""How often as many documents as wanted are asked of the DSI, where the asker may not see all of them."""


class OneLook:
    """A snapshot that asks BM25 only once: its votes steer the router before the legs want its hits."""

    def __init__(self, snapshot: Snapshot, query: Query, *, k: int, allow: Allow | None) -> None:
        self._hits = snapshot.lexical(query, k=k, allow=allow)
        self.dense, self.neighbours, self.vectors = snapshot.dense, snapshot.neighbours, snapshot.vectors
        self.doc_keys, self.permitted, self.ties = snapshot.doc_keys, snapshot.permitted, snapshot.ties

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """BM25's best k chunks, from the one look."""
        return self._hits[0][:k], self._hits[1][:k]


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
    pieces, weighed, note = expanding.scores(rooms, sight.sparse, asked.query.text)
    asked_legs: legs.Request[Query, Allow] = legs.Request(
        asked.query, vector, plan, sight.allow, remembered, (pieces, weighed), named(sight, asked)
    )
    gathered = replace(legs.gather(look, asked_legs, rooms.settings.retrieve), note=note)
    return with_chances(gathered, sight.proposed)


def named(sight: Sight, asked: Asked) -> Keys:
    """The chunks, of those that may be seen, of the document that the query names and nothing else; or those
    of the one document that holds a name which it says among other words.

    BM25 does not always bring them: others may say a document's name oftener than it does itself, and a name
    in a long list of others, such as a log, is a faint one.
    """
    query = asked.query
    if asked.only_names:
        try:
            document = sight.snapshot.doc_key(query.text.strip("\"'`"), allow=sight.allow)
        except NotFoundError:
            return legs.NO_KEYS
        return sight.snapshot.chunk_keys(np.array([document]))[:NAMED]
    constants = exact.constants(query)
    found = [alone(sight, query, name, constants.get(name)) for name in exact.names(query)]
    return np.unique(np.concatenate([legs.NO_KEYS, *found]))


def alone(sight: Sight, query: Query, name: str, written: re.Pattern[str] | None) -> Keys:
    """The chunks that hold a name, where they are all of one document; of a constant, those that hold it in
    its own letters, where any do.
    """
    keys = sight.snapshot.lexical(Query(query.text, (), (name,)), k=HOLDERS, allow=sight.allow)[0]
    if len(keys) == HOLDERS:
        return legs.NO_KEYS
    if written is not None and len(keys) > 1:
        same = [written.search(chunk.own) is not None for chunk in sight.snapshot.chunks(keys)]
        keys = keys[same] if any(same) else keys
    return keys if len(np.unique(sight.snapshot.doc_keys(keys))) == 1 else legs.NO_KEYS


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
        moved, _ = memory.heard(vector)
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
    own: int = itself.NOBODY,
) -> Candidates:
    """What the plan's legs bring to a question of a lesson, with this memory and these proposals, without the
    document ``own`` that is the question itself.
    """
    once, plan = route(rooms, snapshot, epoch, asked)
    sight = Sight(snapshot, plan, None, memory, proposed, epoch.sparse)
    found = gather(rooms, once, asked, sight).candidates
    if own == itself.NOBODY:
        return found
    others = found.docs != own
    scores = {leg: given[others] for leg, given in found.scores.items()}
    return Candidates(found.keys[others], found.docs[others], scores)


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
    off = rooms.audit(epoch).verdict(rooms.settings.route.recall)
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
