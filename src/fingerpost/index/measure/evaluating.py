"""Evaluating an index on questions whose documents are known, and finding where the misses were lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fingerpost.errors import NotFoundError
from fingerpost.evaluate import attribute, measures, runner
from fingerpost.evaluate.attribute import Miss, Reading
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.report import Evaluation
from fingerpost.index.measure import asking, fidelity, promises, workers
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import answering, listing, searching
from fingerpost.index.search.found import Found, Keys, Request
from fingerpost.retrieve import fuse
from fingerpost.text import labels

DEPTH = 100
"""Documents each leg is asked for, unless a measure looks deeper."""


def evaluate(
    rooms: Rooms,
    questions: QuestionSet,
    *,
    wanted: Sequence[str],
    principals: Sequence[str] = (),
    progress: Progress,
    keep: runner.Keep | None = None,
) -> Evaluation:
    """Measure every leg alone, their plain fusion, and the whole search, on every question."""
    parsed = measures.parse(" ".join(wanted))
    depth = max([DEPTH, *(measure.cutoff or 0 for measure in parsed)])
    principals = labels.held(principals)  # here too: workers are told letters, were they given a word
    names: dict[int, str] = {}

    def rank(text: str) -> Mapping[str, listing.Run]:
        return listing.rankings(rooms, Request(text, (), principals), k=depth, names=names)

    def drawn(done: int, total: int) -> None:
        progress("evaluate", done, total)

    if keep is None and len(questions.queries) >= workers.MANY:
        task = workers.Task(principals, parsed, depth)
        with workers.Workers(rooms, task, rank) as several:
            found = runner.collect(questions, several.measured(questions), parsed, progress=drawn)
    else:
        found = runner.evaluate(questions, rank, parsed, progress=drawn, keep=keep)
    leaves = promises.of_leaves(rooms, list(questions.queries.values()), principals)
    return replace(found, leaves=leaves)


@dataclass(frozen=True, slots=True)
class Follow:
    """How far misses are followed: a document must be among the first ``k``, and for ``answers`` of the
    questions, evenly drawn, the answer must cite it too.
    """

    k: int
    answers: int = 0


def misses(
    rooms: Rooms,
    source: asking.Questions,
    follow: Follow,
    *,
    split: str,
    principals: Sequence[str] = (),
    progress: Progress,
) -> list[Miss]:
    """Every relevant document that is not among the first ``k``, or whose wanted passage no chunk holds
    whole, or that an answer does not cite, with the one stage that lost it first.
    """
    questions = asking.questions_of(rooms, source, split)
    answered = frozenset(fidelity.drawn(questions, follow.answers))
    lost: list[Miss] = []
    for done, (query_id, text) in enumerate(questions.queries.items(), start=1):
        request, own = Request(text, (), principals, k=follow.k), questions.own.get(query_id)
        probe = Replay(rooms, request, follow.k, query_id in answered, own)
        wanted = questions.passages.get(query_id)
        lost += attribute.attribute(query_id, probe, questions.qrels[query_id], texts=wanted)
        progress("attribute", done, len(questions.queries))
    return lost


@dataclass
class Replay:
    """One search, replayed for one document at a time; see ``attribute.Probe``. ``own`` is the document that
    is the question itself, no result.
    """

    rooms: Rooms
    request: Request
    k: int
    answers: bool = False
    own: str | None = None

    @classmethod
    def of(cls, rooms: Rooms, request: Request, k: int, found: Found) -> Replay:
        """Of a search that has run already."""
        probe = cls(rooms, request, k)
        probe.found = found
        return probe

    @cached_property
    def found(self) -> Found:
        """The search as it runs."""
        return searching.find(self.rooms, self.request)

    @property
    def looked_at(self) -> int:
        """Candidates that were judged again: by late interaction, or by the learned fusion alone."""
        ranked = self.found.ranked
        late = ranked.candidates.scores.get("maxsim")
        if late is not None:
            return len(self._results(ranked.candidates.docs[np.isfinite(late)]))
        return len(self._results(ranked.candidates.docs)) if ranked.rows is not None else 0

    @property
    def depth(self) -> Mapping[str, int]:
        """How many chunks each leg brings."""
        return dict.fromkeys(self._full, self.rooms.settings.retrieve.depth)

    def exists(self, doc_id: str) -> bool:
        """Whether the document stands, whoever asks."""
        try:
            self.found.snapshot.doc_key(doc_id)
        except NotFoundError:
            return False
        return True

    def reading(self, doc_id: str, text: str | None) -> Reading:
        """Whether a chunk holds the text whole; without one, whether there is any chunk."""
        chunks = self.found.snapshot.chunks(self._chunks(doc_id))
        if text is None:
            return "whole" if chunks else "absent"
        if any(text in chunk.text for chunk in chunks):
            return "whole"
        return "cut" if text in self.found.snapshot.document(doc_id).text else "absent"

    def visible(self, doc_id: str) -> bool:
        """Whether the caller and the filter admit it."""
        return bool(self.found.snapshot.permitted(self._chunks(doc_id), self.found.allow).any())

    def leaves(self, doc_id: str) -> tuple[int, ...]:
        """The leaves of its chunks that were not opened; the tail always is."""
        plan = self.found.plan
        own = np.unique(self.found.snapshot.leaf_of(self._chunks(doc_id))).tolist()
        return () if plan.full else tuple(leaf for leaf in own if leaf >= 0 and leaf not in plan.leaves)

    def opened(self, doc_id: str) -> bool:
        """Whether the plan searched all of them."""
        return not self.leaves(doc_id)

    def unrouted(self, doc_id: str) -> int | None:
        """Its rank among documents in the end when the same query runs with a full plan, if it did not.

        Asked even when its own leaves were opened: what it is compared with decides its scores too.
        """
        if self.found.plan.full:
            return None
        return self._rank(self._unrouted, doc_id)

    def exhaustive(self, doc_id: str) -> Mapping[str, int | None]:
        """Its best chunk's rank in each leg searched in full."""
        own = self._chunks(doc_id)
        ranks = {leg: np.flatnonzero(np.isin(keys, own)) for leg, keys in self._full.items()}
        return {leg: int(places[0]) + 1 if len(places) else None for leg, places in ranks.items()}

    def candidate(self, doc_id: str) -> bool:
        """Whether any leg brought it."""
        return self._key(doc_id) in self.found.ranked.candidates.docs

    def fused(self, doc_id: str) -> int | None:
        """The rank of its best chunk by the sum of the legs, before anything was looked at again."""
        given = self.found.ranked.candidates.scores
        legs = {leg: scores for leg, scores in given.items() if not leg.startswith("maxsim")}
        docs = self._results(self.found.ranked.candidates.docs[fuse.standardised(legs).order])
        places = np.flatnonzero(docs == self._key(doc_id))
        return int(places[0]) + 1 if len(places) else None

    def final(self, doc_id: str) -> int | None:
        """Its rank among documents in the end."""
        return self._rank(self.found, doc_id)

    def context(self, doc_id: str) -> tuple[bool, bool] | None:
        """Whether an answer had it among its evidence, and cites it; None where none is asked for."""
        if not self.answers:
            return None
        given, cited = self._grounded
        return doc_id in given, doc_id in cited

    def _rank(self, found: Found, doc_id: str) -> int | None:
        """The rank of a document by its best candidate, among those that can be results."""
        docs = self._results(found.ranked.candidates.docs[found.ranked.order])
        places = np.flatnonzero(docs == self._key(doc_id))
        return len(np.unique(docs[: places[0]])) + 1 if len(places) else None

    def _results(self, docs: Keys) -> Keys:
        """Documents without the one that is the question itself."""
        if self.own is None or not self.exists(self.own):  # it may have been deleted since it was found
            return docs
        others: Keys = docs[docs != self._key(self.own)]
        return others

    def _key(self, doc_id: str) -> int:
        return self.found.snapshot.doc_key(doc_id)

    def _chunks(self, doc_id: str) -> Keys:
        return self.found.snapshot.chunk_keys(np.array([self._key(doc_id)]))

    @cached_property
    def _full(self) -> Mapping[str, Keys]:
        return self.found.exhaustive()

    @cached_property
    def _grounded(self) -> tuple[frozenset[str], frozenset[str]]:
        """The documents of the answer's evidence, and those that it cites."""
        spans = answering.evidence(self.rooms, self.found)
        answer = answering.grounded(self.rooms, self.found, spans)
        return frozenset(s.doc_id for s in spans), frozenset(s.doc_id for s in answer.citations)

    @cached_property
    def _unrouted(self) -> Found:
        return searching.find(self.rooms, self.request, full=True)
