"""Promotion: a lesson takes the place of what serves only where held-out questions do not lose by it.

Each kind of question is compared with no lesson (``kinds``). Two more judge where a lesson serves, none with
an answer it was taught. Questions given for the first time: the serving lesson has not seen them, nor any
like them, and the new one judges them with parts that were not taught them. Questions that the serving
lesson learned from: each lesson has judged them held out, and what the untrained sum did on them both times
says what documents that came meanwhile have changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import LESSON, mapping, parsed
from fingerpost.index.learn import kinds
from fingerpost.index.learn.kinds import LEAST, Row, table
from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.learn.marks import Marks, ndcg
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.index.search.ranking import Asked
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.counts import counted

JUDGED = 1_000
"""New questions that are asked of what serves: each costs a search."""


@dataclass(frozen=True)
class Comparison:
    """The rows that could be judged: of each kind of question against no lesson, and of new and of earlier
    questions against the one that serves, or the reason why there are none of those.
    """

    kinds: tuple[Row, ...] = ()
    rows: tuple[Row, ...] = ()
    reason: str = ""

    @property
    def refused(self) -> bool:
        """Whether any kind of question is worse off."""
        return any(row.worse for row in (*self.kinds, *self.rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """The tables, a line each."""
        lines = [*table(self.kinds, "untrained", "lesson"), *table(self.rows, "serving", "new lesson")]
        lines += [self.reason] if self.reason else []
        for name, rows in (("the untrained search", self.kinds), ("the one that serves", self.rows)):
            if any(row.worse for row in rows):
                lines.append(f"the lesson is worse than {name}")
        return tuple(lines)


def compare(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, marks: Marks) -> Comparison:
    """What was taught beside no lesson, and beside the lesson that serves, if one does."""
    by_kind = kinds.rows(snapshot, lesson, marks)
    if rooms.epoch(snapshot).judges.forest is None:
        return Comparison(by_kind)
    rows, standing = [], marks.standing
    new = unheard(lesson, standing)[:JUDGED]
    if len(new) >= LEAST:
        served = np.array([_served(rooms, snapshot, lesson, at) for at in standing.at[new].tolist()])
        rows.append(Row.of("new questions", served, standing.learned[new]))
    earlier = _earlier(snapshot.artifact(LESSON), standing)
    if earlier is not None and earlier.count >= LEAST:
        rows.append(earlier)
    few = f"not compared with the lesson that serves: {counted(len(new), 'new question')}, {LEAST} needed"
    return Comparison(by_kind, tuple(rows), "" if rows else few)


def unheard(lesson: Lesson, marks: Marks) -> NDArray[np.intp]:
    """The rows of the marks whose question was not given before, nor one that is almost the same."""
    group = lesson.groups
    heard = np.isin(group, group[np.array(lesson.earlier, dtype=np.bool_)])
    return np.flatnonzero(~heard[marks.at])


def _served(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, at: int) -> float:
    """What the serving lesson makes of a question, with a full second look as the new one has it."""
    asked, proposed = lesson.asked[at], lesson.proposed[at]
    epoch = rooms.current(snapshot).for_query(asked.encoded)
    if epoch.stranger and asked.encoded is not None:
        asked, proposed = Asked(asked.query, asked.encoded.plain()), gathering.NOBODY
    memory = epoch.judges.memory
    candidates = gathering.replayed(
        rooms, snapshot, epoch, asked, memory=memory, proposed=proposed, own=lesson.own[at]
    )
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
