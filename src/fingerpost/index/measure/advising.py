"""Advising: the stacks run on the index's own documents and the user's own questions, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate import advise as advising
from fingerpost.evaluate import measures, runner
from fingerpost.evaluate.advise import Advice, Facts, Group, Stack
from fingerpost.evaluate.datasets import QuestionSet, load_beir, seen_queries
from fingerpost.index.epoch import Epoch, Judges, Shelf
from fingerpost.index.measure.asking import questions_of
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import listing, searching
from fingerpost.index.search.found import Request
from fingerpost.index.search.listing import Run
from fingerpost.models.encoder import Encoder
from fingerpost.records import GIVEN
from fingerpost.text import query as queries

DEPTH = 100
SPARE = 3
"""Chunks a leg is asked for, for each document wanted."""


class Untrained(Rooms):
    """The same rooms, as if nothing had been learned."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms.path, rooms.store, rooms.settings)
        self._rooms = rooms

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder that is loaded already."""
        return self._rooms.encoder

    def epoch(self, snapshot: Shelf) -> Epoch:
        """The epoch without memory, forest, DSI and trained query encoder."""
        known = self._rooms.epoch(snapshot)
        return replace(known, judges=Judges(known.judges.codec), tuned=None, dsi=None)


def advise(
    rooms: Rooms, source: Path | QuestionSet, *, split: str, principals: Sequence[str], progress: Progress
) -> Advice:
    """Measure every stack on questions that the index was not taught, and say which one serves them."""
    questions = questions_of(rooms, source, split)
    taught = _taught(rooms, questions)
    learned = rooms.epoch(rooms.store.snapshot()).judges.forest is not None
    judged = ~taught if learned and (~taught).sum() >= advising.FEW else np.ones(len(taught), bool)
    stacks = _stacks(rooms, questions, learned=learned and bool((judged == ~taught).all()))
    values, ms = _measured(stacks, questions, principals, progress)
    measured = [Stack(name, values[name][judged], ms[name]) for name in stacks]
    texts = list(questions.queries.values())
    return advising.advise(
        measured, _facts(rooms, source, questions, taught), _groups(questions, texts, judged)
    )


def _taught(rooms: Rooms, questions: QuestionSet) -> NDArray[np.bool_]:
    """Which questions the index was taught, word for word."""
    known = {pair.query.casefold() for pair in rooms.store.pairs() if pair.origin in GIVEN}
    return np.array([text.casefold() in known for text in questions.queries.values()], dtype=bool)


def _facts(
    rooms: Rooms, source: Path | QuestionSet, questions: QuestionSet, taught: NDArray[np.bool_]
) -> Facts:
    texts = list(questions.queries.values())
    snapshot = rooms.store.snapshot()
    return Facts(
        questions=len(texts),
        documents=snapshot.n_documents,
        chunks=snapshot.n_chunks,
        seen=len(seen_queries(questions)) / len(texts),
        repeated=advising.repeated_share(texts),
        exact=float(advising.exact(texts).mean()),
        taught=float(taught.mean()),
        fresh=snapshot.n_fresh / max(1, snapshot.n_chunks),
        labels=sum(pair.origin in GIVEN for pair in rooms.store.pairs()),
        available=_available(source),
    )


def _available(source: Path | QuestionSet) -> int:
    """Pairs of the folder's training split."""
    if not isinstance(source, Path) or not (source / "qrels" / "train.tsv").is_file():
        return 0
    judged = load_beir(source, "train", known=frozenset()).qrels.values()
    return sum(grade > 0 for row in judged for grade in row.values())


def _groups(questions: QuestionSet, texts: Sequence[str], judged: NDArray[np.bool_]) -> list[Group]:
    known = seen_queries(questions)
    seen = np.array([query_id in known for query_id in questions.queries], dtype=bool)
    named = advising.exact(texts)
    marks = {"seen": seen, "unseen": ~seen, "exact": named, "worded": ~named}
    return [Group(name, rows[judged]) for name, rows in marks.items()]


def _stacks(rooms: Rooms, questions: QuestionSet, *, learned: bool) -> dict[str, Callable[[Request], Run]]:
    """Stack → what it finds, simplest first; only those the index can run."""
    untrained = Untrained(rooms)
    if rooms.encoder is None:
        return {"lexical": lambda asked: lexical(rooms, asked)}
    found: dict[str, Callable[[Request], Run]] = {
        "lexical": lambda asked: lexical(rooms, asked),
        "dense": lambda asked: dense(rooms, asked),
        "hybrid": lambda asked: listing.reciprocal_ranks(
            [lexical(rooms, asked), dense(rooms, asked)], k=DEPTH
        ),
        "search": lambda asked: search(untrained, asked),
    }
    return {**found, "learned": lambda asked: search(rooms, asked)} if learned else found


def _measured(
    stacks: Mapping[str, Callable[[Request], Run]],
    questions: QuestionSet,
    principals: Sequence[str],
    progress: Progress,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """nDCG@10 of every question, and the median milliseconds of a query, stack by stack."""
    wanted = measures.parse("nDCG@10")
    values: dict[str, list[float]] = {name: [] for name in stacks}
    ms: dict[str, list[float]] = {name: [] for name in stacks}
    for done, (query_id, text) in enumerate(questions.queries.items(), start=1):
        own = questions.own.get(query_id)
        for name, run in stacks.items():
            began = perf_counter()
            ranking = run(Request(text, (), principals))
            ms[name].append(1000 * (perf_counter() - began))
            one = runner.measure({name: ranking}, questions.qrels[query_id], wanted, own=own)
            values[name].append(one.values[name][0])
        progress("advise", done, len(questions.queries))
    return (
        {name: np.array(each) for name, each in values.items()},
        {name: float(np.median(each)) for name, each in ms.items()},
    )


def lexical(rooms: Rooms, asked: Request) -> Run:
    """BM25 alone: its best documents."""
    snapshot = rooms.store.snapshot()
    allow = snapshot.allow(asked.filters or None, asked.principals)
    hits = snapshot.lexical(queries.parse(asked.text), k=SPARE * DEPTH, allow=allow)
    return listing.by_document(snapshot, *hits, k=DEPTH)


def dense(rooms: Rooms, asked: Request) -> Run:
    """The vectors alone; nothing without an encoder."""
    snapshot = rooms.store.snapshot()
    allow = snapshot.allow(asked.filters or None, asked.principals)
    if rooms.encoder is None:
        return []
    vector = rooms.encoder.encode_query(queries.parse(asked.text).text).vector
    keys, scores, _ = snapshot.dense(vector, k=SPARE * DEPTH, leaves=None, allow=allow)
    return listing.by_document(snapshot, keys, scores, k=DEPTH)


def search(rooms: Rooms, asked: Request) -> Run:
    """What users get."""
    found = searching.find(rooms, asked)
    return listing.by_document(found.snapshot, found.keys, found.scores, k=DEPTH)
