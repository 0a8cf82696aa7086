"""Kinds of questions: a lesson that all together gain by may still be paid for by one of them.

Every kind is judged by held-out questions, against the untrained search. A lesson is refused where one loses
half a point or more and that is no chance (``rerank.proof``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.learn.marks import F64, Marks
from fingerpost.rerank.proof import matters, proven
from fingerpost.store.snapshot import Snapshot

LEAST = 30
"""Questions below which a row says nothing."""
LOST = 0.01
"""The chance with which a kind may be held to lose that does not: several are looked at, and one standard
error, which is enough to refuse all together, would refuse most good lessons by luck.
"""
UNLIKE = 0.1
"""Share of the questions that count as unlike the others: those furthest from all of them."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """Held-out nDCG@10 of ``count`` questions before the lesson and with it, with the standard error of their
    difference, and whether that is a loss to refuse the lesson for.
    """

    kind: str
    count: int
    before: float
    after: float
    error: float
    worse: bool

    @classmethod
    def of(cls, kind: str, before: F64, after: F64, documents: Sequence[str] | None = None) -> Row:
        """From the values of the same questions. Worse is what loses by more than one standard error and half
        a point; where the ``documents`` are given that they are about, what is proven to.

        >>> Row.of("new questions", np.array([0.5, 0.7]), np.array([0.2, 0.4])).worse
        True
        """
        lost = before - after
        error = float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else float("inf")
        if documents is None:
            worse = matters(float(lost.mean()), error)
        else:
            worse = proven(lost, documents, level=LOST)
        return cls(kind, len(lost), float(before.mean()), float(after.mean()), error, worse)


def table(rows: Sequence[Row], before: str, after: str) -> tuple[str, ...]:
    """Rows in words, under the names of what is compared; nothing where there are none."""
    if not rows:
        return ()
    cells = [(f"{row.kind} ({row.count:,})", f"{row.before:.3f}", row) for row in rows]
    return (
        f"{'held-out nDCG@10':<46}{before:>10}  {after}",
        *(
            f"{name:<46}{value:>10}  {row.after:.3f} (± {1.96 * row.error:.3f}){', worse' * row.worse}"
            for name, value, row in cells
        ),
    )


def rows(snapshot: Snapshot, lesson: Lesson, marks: Marks) -> tuple[Row, ...]:
    """A row for each kind of at least ``LEAST`` questions."""
    documents = np.array([lesson.families[at] for at in marks.at.tolist()], dtype=object)
    return tuple(
        Row.of(kind, marks.untrained[mask], marks.learned[mask], documents[mask].tolist())
        for kind, mask in _kinds(snapshot, lesson, marks)
        if mask.sum() >= LEAST
    )


def _kinds(snapshot: Snapshot, lesson: Lesson, marks: Marks) -> Iterator[tuple[str, Mask]]:
    """The kinds by name, and which questions of the marks are of each, [n]."""
    standing, asked = ~marks.late, _asked_for(lesson)[marks.at]
    yield "all questions", standing
    yield "about documents that others ask for", standing & asked
    yield "about documents that nobody else asks for", standing & ~asked
    yield "unlike all others", standing & _unlike(lesson, marks)
    yield "about documents as if they came after it", marks.late
    types = _types(snapshot, lesson, marks)
    classes = [name for name in np.unique(types).tolist() if (types == name)[standing].sum() >= LEAST]
    for name in classes if len(classes) > 1 else ():
        yield f"about {name}", standing & (types == name)


def _asked_for(lesson: Lesson) -> Mask:
    """For each question of the lesson whether one that is not nearly the same asks for its document."""
    pairs = lesson.pairs
    asking = np.unique(np.stack([pairs.doc, lesson.groups[pairs.query]]), axis=1)[0]
    often, counts = np.unique(asking, return_counts=True)
    shared = np.isin(pairs.doc, often[counts > 1])
    return np.bincount(pairs.query, weights=shared, minlength=len(pairs.queries)) > 0


def _unlike(lesson: Lesson, marks: Marks) -> Mask:
    """The ``UNLIKE`` part of the marked questions that is furthest from all others of them."""
    queries, mine = lesson.pairs.queries[marks.at], lesson.groups[marks.at]
    nearest = np.zeros(len(mine))
    for part in np.array_split(np.arange(len(mine)), max(1, len(mine) // 256)):
        cosines = queries[part] @ queries.T
        cosines[mine[part][:, None] == mine[None, :]] = -1.0
        nearest[part] = cosines.max(axis=1, initial=-1.0)
    return nearest < np.quantile(nearest, UNLIKE) if len(nearest) else nearest > 0


def _types(snapshot: Snapshot, lesson: Lesson, marks: Marks) -> NDArray[np.str_]:
    """The media type of a document that answers each question of the marks, [n]."""
    first = [min(lesson.answers[at]) for at in marks.at.tolist()]
    kept = sorted(set(first))
    named = {key: about.media_type for key, about in zip(kept, snapshot.about(kept), strict=True)}
    return np.array([named[key] for key in first], dtype=np.str_)
