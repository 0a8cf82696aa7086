"""The questions that an index is measured on: read or made from its documents, and checked against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fingerpost.errors import InputError, NotFoundError
from fingerpost.evaluate.datasets import QuestionSet, load, load_judged
from fingerpost.evaluate.generate import generate
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import itself
from fingerpost.records import GIVEN, Document
from fingerpost.text.counts import noted

BATCH = 256

Questions = Path | QuestionSet


def questions_of(rooms: Rooms, source: Questions, split: str, qrels: Path | None = None) -> QuestionSet:
    """A BEIR folder's split, a JSON Lines file, queries judged by ``qrels``, or questions as they are.
    Documents count as seen when a training query names them, by the folder's training split or else by the
    pairs this index learned from.
    """
    if isinstance(source, QuestionSet):
        found = source
    else:
        found = load(source, split) if qrels is None else load_judged(source, qrels)
        found = _without_themselves(rooms, replace(found, notes=(*found.notes, *_strangers(rooms, found))))
    if found.trained is not None or found.generated:
        return found
    return replace(found, trained=frozenset(p.doc_id for p in rooms.store.pairs() if p.origin in GIVEN))


def _strangers(rooms: Rooms, questions: QuestionSet) -> tuple[str, ...]:
    """A note on judgements that name documents which are not in the index, whoever may read them."""
    snapshot = rooms.store.snapshot()
    strangers: dict[str, int] = {}
    known: set[str] = set()
    for doc_id in (doc_id for row in questions.qrels.values() for doc_id in row):
        if doc_id in known:
            continue
        try:
            snapshot.doc_key(doc_id)
            known.add(doc_id)
        except NotFoundError:
            strangers[doc_id] = strangers.get(doc_id, 0) + 1
    if not strangers:
        return ()
    first = f"(first: {next(iter(strangers))!r})"
    one = f"judgement names a document that is not in the index {first}"
    many = f"judgements name documents that are not in the index {first}"
    return noted(sum(strangers.values()), one, many)


def _without_themselves(rooms: Rooms, questions: QuestionSet) -> QuestionSet:
    """The questions, those that are documents of the index themselves known as such and told of in a note."""
    own = itself.named(rooms.store.snapshot(), questions.queries, questions.qrels)
    return replace(questions, own=own, notes=(*questions.notes, *itself.told(len(own))))


def generated(rooms: Rooms, count: int, *, principals: Sequence[str] = ()) -> QuestionSet:
    """At most ``count`` questions from the documents of the index that the principals may read.

    Raises InputError E_QRELS when the documents give none.
    """
    made = generate(_documents(rooms, principals), count, seed=rooms.settings.compile.seed)
    if not made.queries:
        raise InputError(
            "E_QRELS",
            "the documents give no question: no title, heading or sentence of two words",
            cure="give questions of your own: JSON Lines of query and doc_id",
        )
    return made


def _documents(rooms: Rooms, principals: Sequence[str]) -> Iterator[Document]:
    snapshot = rooms.store.snapshot()
    chunks = snapshot.keys(allow=snapshot.allow(None, principals))
    keys = np.unique(snapshot.doc_keys(chunks)).tolist()
    for start in range(0, len(keys), BATCH):
        yield from snapshot.documents(keys[start : start + BATCH])
