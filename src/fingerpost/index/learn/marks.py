"""What held-out questions made of a lesson, and of no lesson: the figures that decide about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.search.planning import Replayed
from fingerpost.rerank import learn as fusion
from fingerpost.rerank.features import NAMES
from fingerpost.rerank.forest import START
from fingerpost.rerank.learn import FitResult
from fingerpost.route.deep.artifact import names_of

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Marks:
    """Held-out nDCG@10 over documents of the questions at the places ``at`` [n] of a lesson: by the untrained
    sum, and by what the lesson taught, judged by parts that were taught other questions. ``names`` are
    digests of the questions; ``late`` those about documents kept from the memory as if they had come after
    the lesson.
    """

    at: NDArray[np.int64]
    names: tuple[str, ...]
    untrained: F64
    learned: F64
    late: NDArray[np.bool_]

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
        late = np.array([one.full.late for one in replayed], np.bool_)
        return cls(at, tuple(bytes(name).hex() for name in names_of(texts)), untrained, learned, late)

    def only(self, rows: Sequence[int]) -> Marks:
        """Some of the questions."""
        names = tuple(self.names[row] for row in rows)
        return Marks(self.at[rows], names, self.untrained[rows], self.learned[rows], self.late[rows])

    @property
    def standing(self) -> Marks:
        """The questions about documents that the memory was taught, or that nobody asked for."""
        return self.only(np.flatnonzero(~self.late).tolist())

    def to_bytes(self, *, pairs: int, newest: int) -> bytes:
        """As the artifact of a lesson: the number of its last pair, the key of the newest chunk there was."""
        kept = self.standing
        figures = np.round(np.stack([kept.untrained, kept.learned], axis=1), 4).tolist()
        held_out = dict(zip(kept.names, figures, strict=True))
        return json.dumps({"pairs": pairs, "newest": newest, "held_out": held_out}).encode()


def ndcg(docs: NDArray[np.int64], scores: NDArray[np.floating], right: frozenset[int]) -> float:
    """nDCG@10 of documents, each by its best chunk, where those of ``right`` are relevant, found or not.

    >>> ndcg(np.array([7, 7, 8]), np.array([3.0, 2.0, 1.0]), frozenset({8}))
    0.6309297535714575
    """
    grades = np.isin(docs, list(right)).astype(np.int32)
    return fusion.ndcg(scores, grades, docs, relevant=len(right))
