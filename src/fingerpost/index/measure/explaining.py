"""Explaining: why a result stands where it does, where a query was sent, where a document was lost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fingerpost.errors import NotFoundError
from fingerpost.evaluate import attribute
from fingerpost.index.measure import routes
from fingerpost.index.measure.evaluating import Replay
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import searching
from fingerpost.index.search.found import Found, Request
from fingerpost.records import Explanation, Stage
from fingerpost.text.counts import counted

SHOWN_FACTORS = 12


def explain(rooms: Rooms, request: Request, *, doc_id: str | None = None, k: int = 5) -> Explanation:
    """The stages of a search and the factors of its first ``k`` results, or of one document's best chunk and,
    where that is not among the first ``k``, the stage that lost it.
    """
    found = searching.find(rooms, request)
    stages = Explanation("stages", children=tuple(_stage(stage, found) for stage in found.trace.stages))
    if doc_id is None:
        results = tuple(_result(found, at) for at in range(min(k, len(found.keys))))
        return Explanation(
            "search", request.text, found.plan.reason, (stages, Explanation("results", children=results))
        )
    told = (stages, _document(found, doc_id), *_lost(Replay.of(rooms, request, k, found), doc_id))
    return Explanation("search", request.text, found.plan.reason, told)


def route(rooms: Rooms, request: Request) -> Explanation:
    """Where the router sends a query: the shards and leaves it likes best, what they are about, and the
    plan.
    """
    found = searching.find(rooms, request)
    return Explanation("route", request.text, found.plan.reason, routes.shards(found))


def _stage(stage: Stage, found: Found) -> Explanation:
    """A stage; routing with the leaves that were opened."""
    counts = " · ".join(f"{name} {count:g}" for name, count in stage.counts.items())
    return Explanation(
        stage.name,
        f"{stage.ms:.1f} ms",
        " · ".join(part for part in (stage.note, counts) if part),
        routes.shards(found, opened=True) if stage.name == "route" else (),
    )


def _result(found: Found, at: int) -> Explanation:
    chunk = found.chunks(found.keys[at : at + 1])[0]
    place = int(found.ranked.order[at])
    ranks = tuple(
        Explanation(
            leg, _rank(scores, place), f"score {scores[place]:.3f}" if np.isfinite(scores[place]) else ""
        )
        for leg, scores in found.ranked.candidates.scores.items()
    )
    [added] = found.parts([at])
    return Explanation(
        f"{at + 1}. {chunk.doc_id}:{chunk.start}-{chunk.end}",
        f"{found.scores[at]:.3f}",
        " · ".join(part for part in (chunk.context, chunk.about, chunk.facts) if part),
        (
            Explanation("legs", children=ranks),
            Explanation("factors", "", "they add up to the score", factors(added)),
        ),
    )


def factors(added: Mapping[str, float]) -> tuple[Explanation, ...]:
    """What a score is made of, largest first; what is too small to be shown is added up in one line.

    >>> [(one.name, one.value) for one in factors({"a": 1.0, "b": -2.0})]
    [('b', '-2.000'), ('a', '+1.000')]
    """
    parts = sorted(added.items(), key=lambda item: -abs(item[1]))
    rest = [value for _, value in parts[SHOWN_FACTORS:]]
    shown = [Explanation(name, f"{value:+.3f}") for name, value in parts[:SHOWN_FACTORS]]
    others = [Explanation("others", f"{sum(rest):+.3f}", counted(len(rest), "smaller one"))] if rest else []
    return (*shown, *others)


def _rank(scores: np.typing.NDArray[np.float32], place: int) -> str:
    if not np.isfinite(scores[place]):
        return "below the cut"
    return f"rank {1 + int((scores > scores[place]).sum())}"


def _lost(probe: Replay, doc_id: str) -> tuple[Explanation, ...]:
    """The stage that kept the document out of the first k, what shows it and what to do; nothing where it is
    among them.
    """
    cause = attribute.first_cause(attribute.replay(probe, doc_id))
    if cause is None:
        return ()
    name, evidence = cause
    cure = Explanation("cure", "", attribute.CURES[name])
    return (Explanation("lost in", name, f"not among the first {probe.k}: {evidence}", (cure,)),)


def _document(found: Found, doc_id: str) -> Explanation:
    """The best chunk of a document in the ranking, or where each leg has it. One not allowed is not there."""
    key = found.snapshot.doc_key(doc_id, allow=found.allow)
    docs = found.ranked.candidates.docs[found.ranked.order]
    places = np.flatnonzero(docs == key)
    if len(places):
        return _result(found, int(places[0]))
    chunks = found.snapshot.chunk_keys(np.array([key]))
    if not len(chunks):
        raise NotFoundError(
            "E_NOT_FOUND",
            f"{doc_id!r} has no text",
            cure="see in the compile report what was left out or masked",
        )
    legs = []
    count = found.snapshot.n_chunks
    for name, ranking in found.exhaustive().items():
        ranks = np.flatnonzero(np.isin(ranking, chunks))
        legs.append(Explanation(name, f"rank {ranks[0] + 1:,} of {count:,}" if len(ranks) else "not matched"))
    return Explanation(
        doc_id, "not a candidate", "no leg brought it; its place in each leg searched in full:", tuple(legs)
    )
