"""Promotion: a lesson takes the place of the one that serves only where held-out questions do not lose by it.

Two kinds of questions judge, none with an answer it was taught. Questions given for the first time: the
serving lesson has not seen them, nor any like them, and the new one judges them with parts that were not
taught them. Questions that the serving lesson learned from: each lesson has judged them held out, and what
the untrained sum did on them both times says what documents that came meanwhile have changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import LESSON, mapping, parsed
from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.index.search.planning import Replayed
from fingerpost.index.search.ranking import Asked
from fingerpost.rerank.features import NAMES
from fingerpost.rerank.forest import START
from fingerpost.rerank.learn import CUTOFF, FitResult, matters
from fingerpost.route.deep.artifact import names_of
from fingerpost.route.pairs import groups
from fingerpost.store.snapshot import Snapshot

LEAST = 30
"""Questions below which a row says nothing."""
JUDGED = 1_000
"""New questions that are asked of what serves: each costs a search."""

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Marks:
    """Held-out nDCG@10 over documents of the questions at the places ``at`` [n] of a lesson: by the untrained
    sum, and by what the lesson taught, judged by parts that were taught other questions. ``names`` are
    digests of the questions.
    """

    at: NDArray[np.int64]
    names: tuple[str, ...]
    untrained: F64
    learned: F64

    @classmethod
    def of(
        cls, lesson: Lesson, at: NDArray[np.int64], replayed: Sequence[Replayed], found: FitResult
    ) -> Marks:
        """Of replayed questions, the n-th of them at the place ``at[n]``."""
        untrained, learned = np.zeros(len(at)), np.zeros(len(at))
        for row, (place, one) in enumerate(zip(at.tolist(), replayed, strict=True)):
            right, plain = lesson.answers[place], one.full.rows[:, NAMES.index(START)]
            untrained[row] = learned[row] = ndcg(one.docs, plain, right)
            if found.forest is not None:
                learned[row] = ndcg(one.docs, found.scores[row], right)
        texts = [lesson.asked[place].query.text for place in at.tolist()]
        return cls(at, tuple(bytes(name).hex() for name in names_of(texts)), untrained, learned)

    def only(self, rows: Sequence[int]) -> Marks:
        """Some of the questions."""
        names = tuple(self.names[row] for row in rows)
        return Marks(self.at[rows], names, self.untrained[rows], self.learned[rows])

    def to_bytes(self, *, pairs: int, newest: int) -> bytes:
        """As the artifact of a lesson: the number of its last pair, the key of the newest chunk there was."""
        figures = np.round(np.stack([self.untrained, self.learned], axis=1), 4).tolist()
        held_out = dict(zip(self.names, figures, strict=True))
        return json.dumps({"pairs": pairs, "newest": newest, "held_out": held_out}).encode()


@dataclass(frozen=True, slots=True)
class Row:
    """Held-out nDCG@10 of ``count`` questions: by the lesson that serves and by the new one, with the
    standard error of their difference.
    """

    kind: str
    count: int
    serving: float
    taught: float
    error: float

    @classmethod
    def of(cls, kind: str, serving: F64, taught: F64) -> Row:
        """From the values of the same questions.

        >>> Row.of("new questions", np.array([0.5, 0.7]), np.array([0.2, 0.4])).worse
        True
        """
        lost = serving - taught
        error = float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else float("inf")
        return cls(kind, len(lost), float(serving.mean()), float(taught.mean()), error)

    @property
    def worse(self) -> bool:
        """Whether the new lesson loses by as much as it must win by against the untrained sum."""
        return matters(self.serving - self.taught, self.error)


@dataclass(frozen=True)
class Comparison:
    """The rows that could be judged, or the reason why there are none; nothing where no lesson serves."""

    rows: tuple[Row, ...] = ()
    reason: str = ""

    @property
    def refused(self) -> bool:
        """Whether any kind of question is worse off."""
        return any(row.worse for row in self.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """The table, a line each."""
        if not self.rows:
            return (self.reason,) if self.reason else ()
        head = f"{'held-out nDCG@10':<34}{'serving':>10}  new lesson"
        cells = [(f"{row.kind} ({row.count:,})", f"{row.serving:.3f}", row) for row in self.rows]
        table = [
            f"{name:<34}{serving:>10}  {row.taught:.3f} (± {1.96 * row.error:.3f}){', worse' * row.worse}"
            for name, serving, row in cells
        ]
        said = ("the lesson is worse than the one that serves",) if self.refused else ()
        return (head, *table, *said)


def compare(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, marks: Marks) -> Comparison:
    """What serves beside what was taught; the table is empty where no lesson serves."""
    if rooms.epoch(snapshot).judges.forest is None:
        return Comparison()
    rows = []
    new = unheard(lesson, marks)[:JUDGED]
    if len(new) >= LEAST:
        served = np.array([_served(rooms, snapshot, lesson, at) for at in marks.at[new].tolist()])
        rows.append(Row.of("new questions", served, marks.learned[new]))
    earlier = _earlier(snapshot.artifact(LESSON), marks)
    if earlier is not None and earlier.count >= LEAST:
        rows.append(earlier)
    few = f"not compared with the lesson that serves: {len(new)} new questions, {LEAST} needed"
    return Comparison(tuple(rows), "" if rows else few)


def unheard(lesson: Lesson, marks: Marks) -> NDArray[np.intp]:
    """The rows of the marks whose question was not given before, nor one that is almost the same."""
    group = groups(lesson.pairs.queries)
    heard = np.isin(group, group[np.array(lesson.earlier, dtype=np.bool_)])
    return np.flatnonzero(~heard[marks.at])


def ndcg(docs: NDArray[np.int64], scores: NDArray[np.floating], right: frozenset[int]) -> float:
    """nDCG@10 of documents, each by its best chunk, where those of ``right`` are relevant, found or not.

    >>> ndcg(np.array([7, 7, 8]), np.array([3.0, 2.0, 1.0]), frozenset({8}))
    0.6309297535714575
    """
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    ranked = list(dict.fromkeys(docs[order].tolist()))[:CUTOFF]
    worth = 1 / np.log2(np.arange(2, CUTOFF + 2))
    best = float(worth[: len(right)].sum())
    return float(sum(worth[at] for at, doc in enumerate(ranked) if doc in right)) / best if best else 0.0


def _served(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, at: int) -> float:
    """What the serving lesson makes of a question, with a full second look as the new one has it."""
    asked, proposed = lesson.asked[at], lesson.proposed[at]
    epoch = rooms.current(snapshot).for_query(asked.encoded)
    if epoch.stranger and asked.encoded is not None:
        asked, proposed = Asked(asked.query, asked.encoded.plain()), gathering.NOBODY
    memory = epoch.judges.memory
    candidates = gathering.replayed(rooms, snapshot, epoch, asked, memory=memory, proposed=proposed)
    effort = planning.full(rooms.settings.rerank)
    look = ranking.look_again(snapshot, asked, candidates, epoch.judges, effort=effort)
    scores = look.total.scores
    forest = epoch.judges.forest
    if forest is not None and len(candidates.docs):
        told = ranking.memory_columns(snapshot, asked, candidates, memory)
        rows = ranking.feature_rows(asked, look, told, names=forest.names)
        scores = forest.predict(rows)
    return ndcg(candidates.docs, scores, lesson.answers[at])


def _earlier(kept: bytes | None, marks: Marks) -> Row | None:
    """The questions that both lessons judged held out. What the untrained sum lost since the first time, to
    documents that came meanwhile, is taken off what the serving lesson had then.
    """
    then = {} if kept is None else parsed(LESSON, kept, mapping).get("held_out", {})
    both = [row for row, name in enumerate(marks.names) if name in then]
    if not both:
        return None
    now, before = marks.only(both), np.array([then[marks.names[row]] for row in both])
    return Row.of("earlier questions", before[:, 1] + now.untrained - before[:, 0], now.learned)
