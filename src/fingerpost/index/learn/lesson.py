"""What a lesson is made of: the pairs, their queries encoded as if never trained on, the documents found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.index.epoch import Epoch
from fingerpost.index.learn.given import Given, earlier, marked, usable_of
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, itself
from fingerpost.index.search.ranking import Asked
from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import ITSELF, Pair
from fingerpost.route import pairs as training
from fingerpost.route.pairs import Pairs
from fingerpost.route.wording import Wording
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as queries
from fingerpost.text.counts import counted


@dataclass(frozen=True)
class Lesson:
    """The pairs in all their forms: distinct queries, encoded, which documents answer them, which the DSI
    proposes that never saw them (none without one), which queries an earlier lesson was given, and the
    document that each query is itself, no candidate for it (``itself.NOBODY`` where there is none).
    """

    asked: tuple[Asked, ...]
    pairs: Pairs
    answers: tuple[frozenset[int], ...]
    doc_ids: tuple[str, ...]
    notes: tuple[str, ...]
    proposed: tuple[gathering.Proposed, ...]
    earlier: tuple[bool, ...]
    own: tuple[int, ...]

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """A number for each query, which near-duplicates share."""
        return training.groups(self.pairs.queries)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """For each query the document that its family goes by: near-duplicates are of one family, and those
        about one document. No split of a lesson parts them.
        """
        first = training.families(self.groups, self.doc_ids)
        return tuple(self.doc_ids[at] for at in first.tolist())


def prepare(rooms: Rooms, snapshot: Snapshot, given: Given, progress: Progress) -> Lesson:
    """Encode the queries, of the earlier pairs too, and find the documents. Raises InputError E_PAIRS where
    too little is left, UsageError without an encoder.
    """
    if rooms.encoder is None:
        raise UsageError(
            "E_USAGE", "an index without an encoder has no router to train", cure="compile with one"
        )
    before, given = earlier(rooms), marked(snapshot, given)
    usable, gone = usable_of(snapshot, before, given)
    texts = list(dict.fromkeys(text for text, _ in usable))
    place = {text: at for at, text in enumerate(texts)}
    asked, proposed, epoch = [], [], rooms.current(snapshot)
    heard = {pair.query for pair in before}
    for at, text in enumerate(texts):
        parsed = queries.parse(text)
        asked.append(Asked(parsed, _unseen(rooms, epoch, parsed.text)))
        known = None if epoch.dsi is None else epoch.dsi.held_out(parsed.text)
        proposed.append(gathering.propose(rooms, snapshot, epoch, asked[-1]) if known is None else known)
        progress("encode queries", at + 1, len(texts))
    answers: list[set[int]] = [set() for _ in texts]
    for (text, _), key in usable.items():
        answers[place[text]].add(key)
    vectors = np.stack([one.encoded.vector for one in asked if one.encoded is not None])
    weighed = _weights([*before, *given.pairs])
    weight = np.array([weighed[pair] for pair in usable], np.float32)
    queries_of = [place[text] for text, _ in usable]
    arrays = training.pairs(vectors, queries_of, list(usable.values()), weight=weight)
    selves = {pair.query for pair in (*before, *given.pairs) if pair.origin == ITSELF}
    own = [
        itself.document_of(snapshot, one.query, right) if text in selves else itself.NOBODY
        for text, one, right in zip(texts, asked, answers, strict=True)
    ]
    arrays = replace(arrays, wording=_wording(snapshot, asked), own=np.array(own, np.int64))
    notes = (*itself.told(sum(key != itself.NOBODY for key in own)), *given.notes)
    first = {place[text]: doc_id for text, doc_id in reversed(usable)}
    return Lesson(
        tuple(asked),
        arrays,
        tuple(map(frozenset, answers)),
        tuple(first[at] for at in range(len(texts))),
        (*notes, *([f"{counted(gone, 'pair')} left out: unknown documents"] if gone else [])),
        tuple(proposed),
        tuple(text in heard for text in texts),
        tuple(own),
    )


def _weights(given: Sequence[Pair]) -> dict[tuple[str, str], float]:
    """The weight of each question and doc_id: the largest that was given."""
    weights: dict[tuple[str, str], float] = {}
    for pair in given:
        named = pair.query, pair.doc_id
        weights[named] = max(pair.weight, weights.get(named, pair.weight))
    return weights


def _wording(snapshot: Snapshot, asked: Sequence[Asked]) -> Wording:
    """The words of the questions, weighed as BM25 weighs them."""
    terms = sorted({term for one in asked for term in one.query.terms})
    idf = dict(zip(terms, snapshot.idf(terms).tolist(), strict=True))
    return Wording.of([one.query.terms for one in asked], idf)


def _unseen(rooms: Rooms, epoch: Epoch, text: str) -> EncodedQuery | None:
    """A query's vectors as they would be had the query encoder never been trained on it."""
    encoder = rooms.asking(epoch)
    if encoder is None:
        return None
    encoded = encoder.encode_query(text)
    held_out = None if epoch.tuned is None else epoch.tuned.held_out(text)
    return encoded if held_out is None else replace(encoded, vector=held_out)
