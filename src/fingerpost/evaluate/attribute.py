"""Where was it lost? Every missed document gets exactly one first cause, decided by replaying the stages.

The replay asks of each stage, in the order in which evidence flows, "had this stage been exhaustive, would
the document have gone on?" The first stage that answers yes is the cause:

==========  =======================================================================================
corpus      no such document in the index
reading     it is there, but the wanted text is in no chunk, or cut between two
access      the caller may not see it
routing     not all leaves were opened; with all opened it would have been found, or a leg brought it
retrieval   it was searched, or opening everything would not have helped: below every leg's cut
fusion      a candidate, but fused below the cut of what is looked at again
reranking   looked at again, and put below the first k
grounding   among the first k, but not in the context, or not cited
==========  =======================================================================================

The decision is a pure function of a ``Fates`` record; an index fills it through ``Probe``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Cause = Literal["corpus", "reading", "access", "routing", "retrieval", "fusion", "reranking", "grounding"]
Reading = Literal["whole", "cut", "absent"]

CAUSES: tuple[Cause, ...] = (
    "corpus",
    "reading",
    "access",
    "routing",
    "retrieval",
    "fusion",
    "reranking",
    "grounding",
)

CURES: Mapping[Cause, str] = {
    "corpus": "add the document with `update`, or correct its id in the judgements",
    "reading": "see the compile report for what was left out or masked; larger compile.chunk_tokens cut less",
    "access": "give the caller a label of the document, or judge as a caller who may read it",
    "routing": "raise route.budget; `learn` from these questions, so that their leaves are opened",
    "retrieval": "raise retrieve.depth; `learn` from these questions; add users' words to the document",
    "fusion": "raise rerank.depth, or `learn` the fusion from questions with known documents",
    "reranking": "`learn` the reranker from questions with known documents, or show more results",
    "grounding": "raise ground.spans and ground.sentences, or lower ground.support",
}


@dataclass(frozen=True, slots=True)
class Fates:
    """What happened to one wanted document, stage by stage. Ranks count from 1; None means not ranked.

    ``exhaustive[leg]`` is the rank the document has when the leg searches everything the caller may see, and
    ``depth[leg]`` how many the leg brings. ``leaves`` are those of its chunks that were not opened,
    ``opened`` is true when there is none. ``looked_at`` is how many fused candidates the reranker took, 0
    when there is no reranker; ``fused`` counts candidates, ``final`` and ``unrouted`` documents.
    ``in_context`` and ``cited`` are None where no answer was asked for.
    """

    exists: bool = True
    reading: Reading = "whole"
    visible: bool = True
    leaves: tuple[int, ...] = ()
    opened: bool = True
    exhaustive: Mapping[str, int | None] = field(default_factory=dict)
    depth: Mapping[str, int] = field(default_factory=dict)
    candidate: bool = True
    fused: int | None = None
    looked_at: int = 0
    final: int | None = None
    unrouted: int | None = None
    k: int = 10
    in_context: bool | None = None
    cited: bool | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """One missed document, the stage that lost it first, and what shows it."""

    query_id: str
    doc_id: str
    cause: Cause
    evidence: str


class Probe(Protocol):
    """One query's way through an index, replayed for one document at a time, under one pinned generation.

    Methods are asked in this order, and none after the cause is clear, so the dear ones (``exhaustive``)
    come late.
    """

    @property
    def k(self) -> int:
        """How many results count as found."""

    @property
    def looked_at(self) -> int:
        """How many fused candidates were reranked, 0 without a reranker."""

    @property
    def depth(self) -> Mapping[str, int]:
        """How many candidates each leg brings."""

    def exists(self, doc_id: str) -> bool:
        """Whether the index holds a live document of that id, whoever asks."""

    def reading(self, doc_id: str, text: str | None) -> Reading:
        """Whether one chunk holds ``text`` whole; without a text, whether the document has any chunk."""

    def visible(self, doc_id: str) -> bool:
        """Whether this query's caller and filter admit it."""

    def leaves(self, doc_id: str) -> tuple[int, ...]:
        """The leaves of its chunks that the plan did not open; none under a full plan or in the tail."""

    def opened(self, doc_id: str) -> bool:
        """Whether the plan searched all of them; the tail always is, and everything under a full plan."""

    def exhaustive(self, doc_id: str) -> Mapping[str, int | None]:
        """Its best chunk's rank in each leg when the leg searches everything visible, to any depth."""

    def candidate(self, doc_id: str) -> bool:
        """Whether any leg brought a chunk of it as the plan ran."""

    def fused(self, doc_id: str) -> int | None:
        """Its rank among the fused candidates."""

    def final(self, doc_id: str) -> int | None:
        """Its rank among the documents after reranking."""

    def unrouted(self, doc_id: str) -> int | None:
        """Its final rank when the same query runs with everything opened; None where that is how it ran."""

    def context(self, doc_id: str) -> tuple[bool, bool] | None:
        """Whether it was in the answer's context, and cited; None where no answer was asked for."""


def first_cause(fates: Fates) -> tuple[Cause, str] | None:
    """The stage that lost the document first, with the evidence in words; None when it was not lost.

    >>> first_cause(Fates(candidate=False, exhaustive={"dense": 312}, depth={"dense": 100}))
    ('retrieval', 'below every leg: dense 312th of 100 brought')
    """
    if not fates.exists:
        return "corpus", "no document of this id in the index"
    if fates.reading != "whole":
        what = "cut between two chunks" if fates.reading == "cut" else "in no chunk"
        return "reading", f"the wanted text is {what}"
    if not fates.visible:
        return "access", "the caller's labels or the filter leave it out"
    if fates.final is not None and fates.final <= fates.k:
        return _not_cited(fates)
    if fates.unrouted is not None and fates.unrouted <= fates.k:
        what = "its leaves were opened, others were not" if fates.opened else f"{_leaf(fates)} was not opened"
        return "routing", f"{what}; with all opened it comes {_rank(fates.unrouted)}"
    if not fates.candidate:
        return _not_found(fates)
    if fates.fused is None or (fates.looked_at and fates.fused > fates.looked_at) or not fates.looked_at:
        cut = fates.looked_at or fates.k
        return "fusion", f"fused {_rank(fates.fused)}, the first {cut} go on ({_ranks(fates)})"
    return "reranking", f"fused {_rank(fates.fused)}, reranked {_rank(fates.final)}, k is {fates.k}"


def _not_found(fates: Fates) -> tuple[Cause, str]:
    within = [
        leg for leg, rank in fates.exhaustive.items() if rank is not None and rank <= fates.depth.get(leg, 0)
    ]
    if not fates.opened and within:
        return "routing", f"{_leaf(fates)} was not opened; searched in full: {_ranks(fates)}"
    if not fates.opened:
        return (
            "retrieval",
            f"{_leaf(fates)} was not opened, but even in full below every leg: {_ranks(fates)}",
        )
    return "retrieval", f"below every leg: {_ranks(fates)}"


def _not_cited(fates: Fates) -> tuple[Cause, str] | None:
    if fates.cited or (fates.cited is None and fates.in_context is None):
        return None
    place = "in the context but not cited" if fates.in_context else "not in the context"
    return "grounding", f"found {_rank(fates.final)}, {place}"


def _leaf(fates: Fates) -> str:
    return f"leaf {', '.join(map(str, fates.leaves)) or 'unknown'}"


def _ranks(fates: Fates) -> str:
    told = [
        f"{leg} {_rank(rank)}" + (f" of {fates.depth.get(leg, 0)} brought" if rank else "")
        for leg, rank in fates.exhaustive.items()
    ]
    return ", ".join(told) or "no leg scored it"


def _rank(rank: int | None) -> str:
    """
    >>> [_rank(n) for n in (1, 2, 3, 11, 112, 23, None)]
    ['1st', '2nd', '3rd', '11th', '112th', '23rd', 'nowhere']
    """
    if rank is None:
        return "nowhere"
    last = 0 if 10 < rank % 100 < 14 else rank % 10
    return f"{rank}{('th', 'st', 'nd', 'rd')[last] if last < 4 else 'th'}"


def replay(probe: Probe, doc_id: str, *, text: str | None = None) -> Fates:
    """Follow one wanted document through the stages, no further than where it was lost.

    ``text`` is the wanted passage where the judgements name one.
    """
    k = probe.k
    if not probe.exists(doc_id):
        return Fates(exists=False, k=k)
    reading = probe.reading(doc_id, text)
    if reading != "whole":
        return Fates(reading=reading, k=k)
    if not probe.visible(doc_id):
        return Fates(visible=False, k=k)
    final = probe.final(doc_id)
    if final is not None and final <= k:
        used = probe.context(doc_id)
        return Fates(final=final, k=k, in_context=used and used[0], cited=used and used[1])
    return Fates(
        leaves=probe.leaves(doc_id),
        opened=probe.opened(doc_id),
        unrouted=probe.unrouted(doc_id),
        exhaustive=probe.exhaustive(doc_id),
        depth=probe.depth,
        candidate=probe.candidate(doc_id),
        fused=probe.fused(doc_id),
        looked_at=probe.looked_at,
        final=final,
        k=k,
    )


def attribute(
    query_id: str, probe: Probe, grades: Mapping[str, int], *, texts: Mapping[str, str] | None = None
) -> list[Miss]:
    """The misses of one query: one for each relevant document that is not among the first k (or not
    cited).
    """
    misses = []
    for doc_id in (each for each, grade in grades.items() if grade > 0):
        lost = first_cause(replay(probe, doc_id, text=(texts or {}).get(doc_id)))
        if lost is not None:
            misses.append(Miss(query_id, doc_id, *lost))
    return misses


def summary(misses: Iterable[Miss]) -> dict[str, object]:
    """What ``evaluate --misses --json`` prints: the misses, a table of causes, and the cures of those that
    occur.

    >>> summary([Miss("q", "d", "corpus", "gone")])["table"]
    {'corpus': 1}
    """
    listed = list(misses)
    counts = Counter(miss.cause for miss in listed)
    found = [cause for cause in CAUSES if counts[cause]]
    return {
        "misses": [
            {"query_id": m.query_id, "doc_id": m.doc_id, "cause": m.cause, "evidence": m.evidence}
            for m in listed
        ],
        "table": {cause: counts[cause] for cause in found},
        "cures": {cause: CURES[cause] for cause in found},
    }


def told(misses: Iterable[Miss]) -> list[str]:
    """How many misses each cause has, and its cure, a line each.

    >>> told([Miss("q", "d", "corpus", "gone")])
    ['1 × corpus: add the document with `update`, or correct its id in the judgements']
    """
    counts = Counter(miss.cause for miss in misses)
    return [f"{counts[cause]:,} × {cause}: {CURES[cause]}" for cause in CAUSES if counts[cause]]
