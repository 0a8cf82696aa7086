"""Searching: route → retrieve → rerank, on one pinned snapshot, every stage timed and counted."""

from __future__ import annotations

from dataclasses import replace

from fingerpost.index.epoch import Epoch
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import auditing, gathering, planning, reasoning
from fingerpost.index.search.found import Found, Request
from fingerpost.index.search.gathering import Sight
from fingerpost.index.search.ranking import Asked, Ranked, rank
from fingerpost.models.encoder import EncodedQuery, Encoder
from fingerpost.observe.trace import Recorder
from fingerpost.records import Plan, Trace
from fingerpost.rerank import cross
from fingerpost.store.isolated import Isolated
from fingerpost.store.permits import Allow
from fingerpost.store.scoring import MOST_TERMS
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as queries
from fingerpost.text.counts import counted
from fingerpost.text.query import Query


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
    with recorder.stage("encode") as stage:
        asked = Asked(query, encoded(encoder, query.text, request) if encoder else None)
        stage.note = unread(encoder, query.text)
    with recorder.stage("route") as stage:
        epoch = epoch.for_query(asked.encoded)
        if epoch.stranger and asked.encoded is not None:
            asked = Asked(query, asked.encoded.plain())
        once, plan = gathering.route(rooms, snapshot, epoch, asked, allow)
        if full and not plan.full:
            plan = Plan(legs=("lexical", "dense"), reason="full search: asked for")
        stage.counts["leaves"], stage.note = float(len(plan.leaves)), plan.reason
    with recorder.stage("retrieve") as stage:
        proposed = gathering.propose(rooms, snapshot, epoch, asked, allow)
        sight = Sight(snapshot, plan, allow, epoch.judges.memory, proposed, epoch.sparse)
        gathered = gathering.gather(rooms, once, asked, sight)
        stage.counts.update({name: float(count) for name, count in gathered.counts.items()})
        if asked.encoded is not None and auditing.due(rooms, plan, query.text):
            recall = auditing.audit(rooms, epoch, snapshot, asked.encoded.vector, gathered, allow)
            stage.counts["scored"] += float(snapshot.n_chunks)
            stage.note = f"audited: {recall:.0%} of the exhaustive top {auditing.TOP} were found"
        stage.counts["chunks"] = float(snapshot.n_chunks if allow is None else allow.n_chunks)
        told = (
            without_vectors(snapshot.missing(allow)),
            unasked(query),
            unseen(snapshot, allow, request),
            gathered.note,
        )
        stage.note = " · ".join(filter(None, (stage.note, *told)))
    with recorder.stage("rerank") as stage:
        given, settings = gathered.candidates, rooms.settings.rerank
        scale = planning.Scale(snapshot.n_chunks, request.k)
        look, spared = planning.look(snapshot, asked, given, epoch.judges, settings, scale)
        plan = replace(plan, rerank_depth=settings.depth if "maxsim" in look.candidates.scores else 0)
        ranked = rank(snapshot, asked, look, epoch.judges)
        confidence = ranked.confidence(epoch.judges)
        ranked, note = read_together(rooms, snapshot, asked, ranked)
        stage.counts["candidates"] = float(len(ranked.scores))
        stage.note = judged_by(ranked, epoch) + spared + note
    trace = recorder.trace(request.text, generation=snapshot.generation, plan=plan)
    trace = replace(trace, confidence=confidence if ranked.dealt is None else None)  # another order
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
    return (
        f"{counted(missing, 'chunk')} without a vector: run `fingerpost doctor --repair`" if missing else ""
    )


def unseen(snapshot: Snapshot, allow: Allow | None, request: Request) -> str:
    """The note of a trace, and the reason of a refusal, where the asker may see nothing at all: the same in
    an index that holds nothing and in one that hides everything.
    """
    if request.filters or (snapshot.n_chunks if allow is None else allow.n_chunks):
        return ""
    whose = "these principals" if request.principals else "who gives no principals"
    return f"there is nothing that may be seen by {whose}"


def unread(encoder: Encoder | None, text: str) -> str:
    """The note of a trace when the encoder does not read all of a query."""
    if encoder is None or len(text) <= encoder.max_tokens:  # no word piece is shorter than a character
        return ""
    [pieces] = encoder.count_tokens([text])
    read = encoder.max_tokens
    return f"the first {read:,} of {pieces:,} word pieces are read" if pieces > read else ""


def unasked(query: Query) -> str:
    """The note of a trace when BM25 looks up the rarest words of a long query only."""
    words = len(query.terms)
    return f"BM25 by the {MOST_TERMS} rarest of {words:,} words" if words > MOST_TERMS else ""


def read_together(rooms: Rooms, snapshot: Snapshot, asked: Asked, ranked: Ranked) -> tuple[Ranked, str]:
    """The first candidates in a cross-encoder's order, where one is configured, and a note for the trace."""
    encoder, settings = rooms.cross_encoder, rooms.settings.rerank
    if encoder is None or not settings.cross_depth or not len(ranked.scores):
        return ranked, ""
    if asked.only_names:
        return ranked, ", cross-encoder not asked: nothing but identifiers"
    order = ranked.order
    first = ranked.candidates.keys[order[: settings.cross_depth]]
    passages = [chunk.text for chunk in ranked.chunks(snapshot, first)]
    judged = cross.rerank(
        encoder, asked.query.text, passages, ranked.scores[order], seconds=settings.cross_seconds
    )
    scores = ranked.scores.copy()
    scores[order] = judged.scores
    note = f", {judged.note or f'cross-encoder on {len(passages)}'}"
    return replace(ranked, scores=scores, dealt=scores - ranked.scores), note


def extended(trace: Trace, recorder: Recorder) -> Trace:
    """A search's trace with the stages that came after it."""
    return replace(trace, stages=(*trace.stages, *recorder.trace("", generation=0).stages))
