"""From which cosine on the vectors of a trained query encoder are to be trusted.

The untrained sum weighs the dense leg by how far the best cosine is above what the untouched encoder gives
where it is right. One that was trained gives other cosines: it may put the right document far ahead of all
others at 0.4, where the untouched one is guessing. Where nothing learned ranks, that dial is chosen anew, one
number of few, on questions that the encoder has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import Judges
from fingerpost.index.learn import learning
from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, planning, ranking
from fingerpost.rerank import learn as fusion
from fingerpost.rerank.proof import matters
from fingerpost.retrieve import fuse
from fingerpost.store.snapshot import Snapshot

COSINES = (fuse.SURE_COSINE, 0.5, 0.4, 0.3)
"""What is tried; the first is the untouched encoder's."""
LEAST = 30
"""Questions; fewer choose nothing."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sure:
    """The cosine (None: the untouched encoder's), and nDCG@10 of each question [m] ranked with it, for each
    by a cosine that other documents' questions chose.
    """

    cosine: float | None
    values: Values


def choose(rooms: Rooms, snapshot: Snapshot, lesson: Lesson) -> Sure:
    """The cosine for a lesson whose vectors are those of an encoder that did not see the questions."""
    drawn = learning.drawn(rooms, lesson)
    values = np.stack([_values(rooms, snapshot, lesson, at) for at in drawn], axis=1)
    return chosen(values, [lesson.families[at] for at in drawn], seed=rooms.settings.compile.seed)


def chosen(values: Values, documents: Sequence[str], *, seed: int) -> Sure:
    """The choice among ``values`` [cosines, m] of questions about these ``documents`` [m]: another than the
    first only where questions that did not choose it gain by enough.

    >>> chosen(np.repeat([[0.1], [0.1], [0.9], [0.2]], 40, axis=1), list("abcd" * 10), seed=0).cosine
    0.4
    >>> chosen(np.full((4, 40), 0.5), list("abcd" * 10), seed=0).cosine is None
    True
    """
    if values.shape[1] < LEAST:
        return Sure(None, values[0])
    fold, after = fusion.folds(documents, seed=seed), values[0].copy()
    for held in np.unique(fold).tolist():
        away = fold == held
        after[away] = values[_best(values[:, ~away])][away]
    gains = after - values[0]
    if not matters(float(gains.mean()), float(gains.std()) / np.sqrt(len(gains))):
        return Sure(None, values[0])
    return Sure(COSINES[_best(values)], after)


def _best(values: Values) -> int:
    return int(values.mean(axis=1).argmax()) if values.shape[1] else 0


def _values(rooms: Rooms, snapshot: Snapshot, lesson: Lesson, at: int) -> Values:
    """nDCG@10 of one question for each cosine, after a full second look."""
    asked, epoch = lesson.asked[at], rooms.epoch(snapshot)
    proposed, standing = lesson.proposed[at], epoch.judges
    candidates = gathering.replayed(rooms, snapshot, epoch, asked, proposed=proposed, own=lesson.own[at])
    judges, effort = Judges(standing.codec, balance=standing.balance), planning.full(rooms.settings.rerank)
    look = ranking.look_again(snapshot, asked, candidates, judges, effort=effort)
    legs, dials = ranking.legs_of(look.candidates, look.read), standing.balance
    grades = np.isin(candidates.docs, list(lesson.answers[at])).astype(np.int32)
    sums = (fuse.balanced(legs, dials.weights, power=dials.power, cosine=each) for each in COSINES)
    return np.array([fusion.ndcg(one.scores, grades, candidates.docs) for one in sums])
