"""The gate: how far the memory may move is chosen on held-out documents and queries, or it stays out.

Some documents are held out whole (their queries stand for documents never trained on), and some queries of
the other documents. The penalty that serves the expected mix best wins, the mix being Good and Turing's
estimate of how often a query asks for a document no query has asked for. A memory that makes held-out
documents worse is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.descent import STEPS
from fingerpost.route.kmeans import F32, I64, group_sums, unit
from fingerpost.route.memory import Memory, Penalty, fit, fit_many
from fingerpost.route.pairs import Pairs, checked, folds, groups, unseen_rate

MATRIX = (1e-4, 1e-3, 1e-2, 1e-1)
ROWS = (1e-2, 1e-4, 1e-3, 3e-3, 3e-2, inf)
SHIFTS = (0.0, 0.02, 0.04, 0.08, 0.12, 0.16)
HELD = 5
"""One document, then one query of the rest, in this many is held out."""
TOLERANCE = 0.01
"""What held-out documents may lose in mean reciprocal rank (half a standard error of 300 queries)."""
FEW = 3000
"""Fewer pairs than this are split twice, as one split is too noisy."""
JUDGED = 2000
LEARNABLE = 0.2
"""Share of the missed reciprocal rank that consistent pairs win back: lessons of 150 real questions won 28 to
89 %, labels at random 7 %.
"""
NEWCOMERS = 0.1
"""Share of the documents asked for that are kept from each memory out of fold, where pairs ask for fewer than
that which nobody else asked for: else whoever is taught by them learns that the right document has always
been asked for before, and buries what comes after the lesson (bench/LOG.md).
"""
GENERATED = 0.3
"""Weight of generated pairs beside gold ones."""

Progress = Callable[[str, int, int], None]
_Data = tuple[NDArray[np.floating], I64]


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate: its penalty and what it did on held-out queries of seen and of unseen documents.

    ``seen`` and ``unseen`` are mean reciprocal ranks, the errors those of their difference to the untrained.
    """

    penalty: Penalty
    seen: float
    unseen: float
    seen_error: float = 0.0
    unseen_error: float = 0.0
    generated: float = GENERATED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate saw: the untrained figures, all trials, the one chosen (None: refused), the expected
    mix.
    """

    untrained: Trial
    trials: tuple[Trial, ...]
    chosen: Trial | None
    unseen_rate: float

    @property
    def consistent(self) -> bool:
        """Whether pairs agree with one another: a good part of what held-out queries of seen documents
        missed is found by what the others teach. Pairs at random gain a little too.

        >>> start, end = Trial(Penalty(), 0.7, 0.0), Trial(Penalty(), 0.78, 0.0)
        >>> Verdict(start, (), end, 0.0).consistent, Verdict(start, (), None, 0.0).consistent
        (True, False)
        """
        if self.chosen is None:
            return False
        return self.chosen.seen - self.untrained.seen >= LEARNABLE * (1 - self.untrained.seen)


def train(
    vectors: NDArray[np.floating], docs: I64, given: Pairs, *, seed: int = 0, progress: Progress | None = None
) -> tuple[Memory, Verdict]:
    """Check the pairs, choose the penalty, train on all of them; or the identity, and why, in its notes."""
    usable, notes = checked(given, np.unique(docs))
    verdict = choose(vectors, docs, usable, seed=seed, progress=progress)
    if verdict.chosen is None:
        said = "memory refused: held-out queries were not better with it"
        return Memory.identity(vectors.shape[1], notes=(*notes, said)), verdict
    weighed = _weighed(usable, verdict.chosen.generated)
    memory = fit(vectors, docs, weighed, penalty=verdict.chosen.penalty, seed=seed)
    return replace(memory, notes=notes), verdict


def out_of_fold(
    vectors: NDArray[np.floating], docs: I64, given: Pairs, *, like: Memory, count: int = 5, seed: int = 0
) -> tuple[I64, tuple[Memory, ...]]:
    """Fold of each query [m] and, for each fold, a memory that never saw its queries (near-duplicates
    neither), nor those of the documents it names as ``withheld``: ``NEWCOMERS`` of those asked for, by a draw
    of its own, or none.

    ``like`` is the trained memory, whose penalty is taken. Score query i with ``memories[fold[i]]`` only.
    """
    usable, _ = checked(given, np.unique(docs))
    fold = folds(given.queries, count, seed=seed)
    if not like.trained:
        return fold, (Memory.identity(vectors.shape[1]),) * count
    asked, found = np.unique(usable.doc), []
    share = NEWCOMERS if unseen_rate(usable) < NEWCOMERS else 0.0
    for number in range(count):
        drawn = np.random.default_rng((seed, number)).permutation(asked)
        withheld = np.sort(drawn[: round(share * len(asked))])
        part = usable.only((fold[usable.query] != number) & ~np.isin(usable.doc, withheld))
        found.append(replace(fit(vectors, docs, part, penalty=like.penalty, seed=seed), withheld=withheld))
    return fold, tuple(found)


def choose(
    vectors: NDArray[np.floating], docs: I64, given: Pairs, *, seed: int, progress: Progress | None = None
) -> Verdict:
    """Try penalties on splits by document and by query; gold queries judge, generated ones only train."""
    splits = [_Split.make(vectors, docs, given, seed + n) for n in range(2 if len(given.query) < FEW else 1)]
    splits = [split for split in splits if len(split.train.query) and len(split.held.query)]
    rate = unseen_rate(given.only(given.gold) if given.gold.any() else given)
    if not splits:  # all questions are alike: none can be held out
        return Verdict(Trial(Memory.identity(vectors.shape[1]).penalty, 0.0, 0.0), (), None, rate)
    search = _Search(
        (vectors, docs), splits, mix=min(max(rate, 0.02), 0.98), seed=seed, tell=progress or _silent
    )
    search.attempt([Penalty(matrix, ROWS[0]) for matrix in MATRIX], GENERATED)
    matrix = search.best.penalty.matrix
    search.attempt([Penalty(matrix, rows) for rows in ROWS[1:]], GENERATED)
    if given.gold.any() and not given.gold.all():
        search.attempt([replace(search.best.penalty, shift=0.0)], 0.0)
    best = search.best
    passed = best if search.worth(best) - search.worth(search.start) > search.error(best) else None
    return Verdict(search.start, tuple(search.trials), passed, rate)


class _Search:
    """The trials so far and the one to beat."""

    def __init__(self, data: _Data, splits: list[_Split], *, mix: float, seed: int, tell: Progress) -> None:
        self.data, self.splits, self.mix, self.seed, self.tell = data, splits, mix, seed, tell
        nothing = Memory.identity(data[0].shape[1])
        self.start = _mean_trial([split.judge(nothing, (0.0,))[0] for split in splits])
        self.trials: list[Trial] = []
        self._maps: dict[tuple[int, float], dict[float, F32]] = defaultdict(dict)

    def attempt(self, penalties: list[Penalty], generated: float) -> None:
        """Train on every split with every penalty; shifts cost no training, nor does a map a second time."""
        judged: list[list[list[Trial]]] = []
        for number, split in enumerate(self.splits):
            given, maps = _weighed(split.train, generated), self._maps[number, generated]
            memories = fit_many(
                *self.data, given, penalties=penalties, seed=self.seed, steps=STEPS, maps=maps
            )
            judged.append([])
            for memory in memories:
                judged[-1].append(split.judge(memory, SHIFTS))
                self.tell("gate", len(judged[-1]), len(penalties))
        for row in zip(*judged, strict=True):
            made = [_mean_trial(list(same)) for same in zip(*row, strict=True)]
            self.trials += [replace(trial, generated=generated) for trial in made]

    def worth(self, trial: Trial) -> float:
        """The expected reciprocal rank; trials that harm unseen documents rank below all that do not."""
        harm = self.start.unseen - trial.unseen > TOLERANCE
        return (1 - self.mix) * trial.seen + self.mix * trial.unseen - (1.0 if harm else 0.0)

    def error(self, trial: Trial) -> float:
        """The standard error of what the trial gains."""
        return float(np.hypot((1 - self.mix) * trial.seen_error, self.mix * trial.unseen_error))

    @property
    def best(self) -> Trial:
        """The trial worth most; the first of equals."""
        return max(self.trials, key=self.worth)


@dataclass(frozen=True, slots=True)
class _Split:
    """Training pairs, and held-out queries with their documents."""

    train: Pairs
    held: Pairs
    unseen: NDArray[np.bool_]
    keys: I64
    means: F32
    before: NDArray[np.float64] | None = None

    @classmethod
    def make(cls, vectors: NDArray[np.floating], docs: I64, given: Pairs, seed: int) -> _Split:
        random = np.random.default_rng(seed)
        documents = np.unique(given.doc)
        hidden = random.permutation(documents)[: max(1, len(documents) // HELD)]
        away = np.zeros(len(given.queries), dtype=np.bool_)
        away[given.query[np.isin(given.doc, hidden)]] = True
        alike = groups(given.queries)
        away = np.isin(alike, alike[away])  # what is almost the same, of another document, goes with it
        aside = (folds(given.queries, HELD, seed=seed) == 0) & ~away
        held = given.only((away | aside)[given.query] & (given.gold | ~given.gold.any()))
        train = given.only(~(away | aside)[given.query])
        held = held.only(np.isin(held.query, random.permutation(np.unique(held.query))[:JUDGED]))
        keys, place = np.unique(docs, return_inverse=True)
        means = unit(group_sums(np.asarray(vectors, dtype=np.float32), place, len(keys)))
        known = np.isin(held.doc, np.unique(train.doc))
        seen = np.bincount(held.query, weights=known, minlength=len(given.queries)) > 0
        split, nothing = cls(train, held, ~seen, keys, means), Memory.identity(means.shape[1])
        return replace(split, before=split._ranks(nothing, np.unique(held.query), (0.0,))[0])

    def judge(self, memory: Memory, shifts: Sequence[float]) -> list[Trial]:
        """Mean reciprocal ranks for both kinds of queries, for each shift of the memory's rows."""
        names = np.unique(self.held.query)
        ranks = self._ranks(memory, names, shifts)
        unseen = self.unseen[names]
        gains = ranks - (ranks if self.before is None else self.before)
        return [
            Trial(
                replace(memory.penalty, shift=shift),
                _mean(rank[~unseen]),
                _mean(rank[unseen]),
                _error(gain[~unseen]),
                _error(gain[unseen]),
            )
            for shift, rank, gain in zip(shifts, ranks, gains, strict=True)
        ]

    def _ranks(self, memory: Memory, names: I64, shifts: Sequence[float]) -> NDArray[np.float64]:
        """Reciprocal ranks of the best right document among all: [shifts, names]."""
        place = np.searchsorted(self.keys, self.held.doc)
        trained = np.isin(self.keys, memory.keys)
        ranks = np.zeros((len(shifts), len(names)))
        for part in np.array_split(np.arange(len(names)), max(1, len(names) // 256)):
            block = names[part]
            scores = memory.scores(self.held.queries[block], self.keys, self.means)
            scores[self.held.places_of_own(block, self.keys)] = -np.inf
            mine = np.isin(self.held.query, block)
            at, right = np.searchsorted(block, self.held.query[mine]), place[mine]
            for row, shift in enumerate(shifts):
                shifted = scores - np.float32(shift) * trained
                best = np.full(len(block), -np.inf, dtype=np.float32)
                np.maximum.at(best, at, shifted[at, right])
                ranks[row, part] = 1.0 / (1 + (shifted > best[:, None]).sum(axis=1))
        return ranks


def _mean_trial(same: list[Trial]) -> Trial:
    """The mean over splits (errors too: the splits overlap)."""
    seen, unseen, seen_error, unseen_error = np.mean(
        [(t.seen, t.unseen, t.seen_error, t.unseen_error) for t in same], axis=0
    ).tolist()
    return Trial(same[0].penalty, seen, unseen, seen_error, unseen_error, same[0].generated)


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""


def _error(values: NDArray[np.float64]) -> float:
    return float(values.std() / np.sqrt(len(values))) if len(values) else 0.0


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _weighed(given: Pairs, generated: float) -> Pairs:
    """Generated pairs at ``generated`` times their weight (dropped at 0); alone they count in full."""
    if not given.gold.any() or given.gold.all():
        return given
    weight = np.where(given.gold, given.weight, given.weight * np.float32(generated)).astype(np.float32)
    return replace(given, weight=weight).only(weight > 0)
