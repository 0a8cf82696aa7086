"""Training of the learned fusion – a line, and trees on it – and the gate it must pass.

Queries are dealt to folds by the document they belong to, so that every figure is for documents the trees
have not seen. The forest is kept only if it is proven on those held-out queries that it beats the untrained
sum, and by enough to matter (``proof``); else the untrained sum goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.rerank import line
from fingerpost.rerank.features import NAMES, RISING, Table
from fingerpost.rerank.forest import START, Forest
from fingerpost.rerank.line import Line
from fingerpost.rerank.proof import LEAST_GAIN, proven
from fingerpost.spread import side_by_side
from fingerpost.text.counts import counted

if TYPE_CHECKING:
    import lightgbm

LEAST_QUERIES = 40
"""Fewer leave no fold enough to be judged by."""
UNPROVEN = "better than the untrained sum on held-out documents, but that may well be chance"
FOLDS = 4
BAG = FOLDS - 1
"""A forest is the mean of as many boosters, each stopped by another fold: with some hundred queries one alone
hangs on its draw of features (bench/LOG.md).
"""
ROUNDS = 200
PATIENCE = 25
CUTOFF = 10
START_WEIGHT = 2.0
_LATE = ("late queries", "late untrained", "late learned")
_PARAMETERS: Mapping[str, object] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [CUTOFF],
    "lambdarank_truncation_level": 2 * CUTOFF,
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Group:
    """One query for training: ``rows`` [n, F], ``grades`` [n] (0 = not relevant), its document, or that of
    another query which must fall on the same side of every split; ``late``
    where that was kept from the memory as if it had come after the lesson: such a query teaches, and is
    judged apart. ``docs`` [n] says which rows are of one document (None: each is of its own).
    """

    rows: Table
    grades: NDArray[np.int32]
    document: str
    late: bool = False
    docs: NDArray[np.int64] | None = None

    def ndcg(self, scores: NDArray[np.floating]) -> float:
        """nDCG@10 of the documents, ranked by these scores [n] of their rows."""
        return ndcg(scores, self.grades, self.docs)


@dataclass(frozen=True, slots=True)
class FitResult:
    """The forest, or None and ``reason``; ``figures`` by name, measured on held-out documents (of ``late``
    queries under names that begin so), and for each document a forest that was not taught about it: who
    judges with its own lessons judges too well.
    ``values`` is the held-out nDCG@10 of each group given, by whoever ranks from now on (the forest or the
    untrained sum); ``scores``, where there is a forest, what its judge gave the rows of each group.
    """

    forest: Forest | None
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)
    judges: Mapping[str, Forest] = field(default_factory=dict)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    scores: Sequence[NDArray[np.float64]] = ()


def fit(groups: Sequence[Group], *, seed: int = 0, threads: int = 1) -> FitResult:
    """Train on queries that have a relevant candidate; refuse what does not beat the untrained sum. The
    result is the same for any number of ``threads``.

    Raises UsageError (E_PAIRS) where a group's rows and grades do not fit together.
    """
    for group in groups:
        _check(group)
    kept = [at for at, group in enumerate(groups) if group.grades.any() and len(group.grades) > 1]
    usable = [groups[at] for at in kept]
    values = np.array([group.ndcg(group.rows[:, NAMES.index(START)]) for group in groups])
    if few := _few(usable):
        return FitResult(None, few, values=values)
    fold, start = folds([group.document for group in usable], seed=seed), _start(usable)
    parameters = dict(_PARAMETERS) | {"seed": seed, "num_threads": 1}
    bags = _held_out(usable, fold, parameters, start, threads)
    rounds = [boosted.rounds for bag in bags for boosted in bag]
    forests = [_export(bag) for bag in bags]
    judges = {group.document: forests[at] for group, at in zip(usable, fold.tolist(), strict=True)}
    judged = {at: judges[groups[at].document].predict(groups[at].rows) for at in kept}
    after = np.array([groups[at].ndcg(scores) for at, scores in judged.items()])
    late = np.array([group.late for group in usable])
    figures = _figures(values[kept][~late], after[~late], rounds)
    if late.any():
        own = zip(_LATE, (late.sum(), values[kept][late].mean(), after[late].mean()), strict=True)
        figures |= {name: float(value) for name, value in own}
    families = [group.document for group in usable if not group.late]
    if not proven((after - values[kept])[~late], families, seed=seed):
        reason = (
            UNPROVEN
            if figures["gain"] > LEAST_GAIN
            else "no better than the untrained sum on held-out documents"
        )
        return FitResult(None, reason, figures, values=values)
    enough = max(1, int(np.median(rounds)))
    drawn = [_seeded(parameters, number) for number in range(1, BAG + 1)]
    final = side_by_side(lambda each: _boost(usable, each, start, enough), drawn, threads)
    values[kept], forest = after, _export(final)
    for at in set(range(len(groups))) - set(kept):
        judged[at] = judges.get(groups[at].document, forest).predict(groups[at].rows)
    reason = "better than the untrained sum on held-out documents"
    return FitResult(forest, reason, figures, judges, values, [judged[at] for at in range(len(groups))])


def folds(documents: Sequence[str], *, seed: int = 0) -> NDArray[np.int64]:
    """A fold 0 … FOLDS-1 for each query, the same for queries of the same document.

    >>> folds(["a", "b", "a"])[[0, 2]].tolist() in ([0, 0], [1, 1], [2, 2], [3, 3])
    True
    """
    names, which = np.unique(np.array(documents, dtype=object).astype(str), return_inverse=True)
    dealt: NDArray[np.int64] = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return dealt[which]


def ndcg(
    scores: NDArray[np.floating],
    grades: NDArray[np.int32],
    docs: NDArray[np.int64] | None = None,
    *,
    relevant: int = 0,
    cutoff: int = CUTOFF,
) -> float:
    """nDCG with linear gains over these candidates, or over their ``docs``, each ranked by its best; equal
    scores in the order given. ``relevant``: so many of grade 1 there are, candidates or not.

    >>> round(ndcg(np.array([0.1, 0.9]), np.array([1, 0], np.int32)), 3)
    0.631
    >>> ndcg(np.array([0.3, 0.2, 0.1]), np.array([1, 0, 1], np.int32), np.array([7, 8, 7]))
    1.0
    """
    discount = 1 / np.log2(np.arange(2, cutoff + 2))
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    if docs is not None:
        order = order[np.sort(np.unique(docs[order], return_index=True)[1])]
    top, ideal = grades[order][:cutoff], np.sort(grades[order])[::-1][:cutoff]
    if relevant:
        ideal = np.ones(min(relevant, cutoff), np.int32)
    best = float(ideal @ discount[: len(ideal)])
    return float(top @ discount[: len(top)]) / best if best else 0.0


def _few(usable: Sequence[Group]) -> str:
    """Why no part of the queries could be judged by the others; "" where it can."""
    documents = len({group.document for group in usable})
    if len(usable) < LEAST_QUERIES:
        return f"{counted(len(usable), 'usable query')}, fewer than {LEAST_QUERIES}"
    return f"queries about {counted(documents, 'document')}, fewer than {FOLDS}" if documents < FOLDS else ""


def _check(group: Group) -> None:
    if group.rows.shape != (len(group.grades), len(NAMES)) or (group.grades < 0).any():
        raise UsageError(
            "E_PAIRS",
            f"a query's rows {group.rows.shape} do not fit its {len(group.grades)} grades or are negative",
            cure=f"give rows of {len(NAMES)} features and one grade >= 0 a row",
        )


@dataclass(frozen=True)
class _Boosted:
    """A booster, the line it starts from, and how many of its rounds count."""

    booster: lightgbm.Booster
    line: Line
    rounds: int


def _start(groups: Sequence[Group]) -> Line:
    """The untrained sum: where a line starts, and what it is held near."""
    return replace(
        Line.of(NAMES, START, START_WEIGHT), worst=line.worst([group.rows for group in groups], NAMES)
    )


def _held_out(
    groups: Sequence[Group],
    fold: NDArray[np.int64],
    parameters: Mapping[str, object],
    start: Line,
    threads: int,
) -> list[list[_Boosted]]:
    """For each fold the boosters that were not taught it, and after how many rounds each was stopped.

    A booster is taught all folds but two, and judges both: each as it was when it did best on the other.
    """
    parts = [
        [group for group, at in zip(groups, fold, strict=True) if at == number] for number in range(FOLDS)
    ]

    def boosted(pair: tuple[int, int]) -> tuple[_Boosted, _Stop]:
        taught = [group for number, part in enumerate(parts) if number not in pair for group in part]
        drawn, stop = _seeded(parameters, pair[0] ^ pair[1]), _Stop()  # another number for each of a bag
        return _boost(taught, drawn, start, ROUNDS, held=[parts[number] for number in pair], stop=stop), stop

    pairs = list(combinations(range(FOLDS), 2))
    bags: list[list[_Boosted]] = [[] for _ in parts]
    for (one, two), (whole, stop) in zip(pairs, side_by_side(boosted, pairs, threads), strict=True):
        bags[one].append(replace(whole, rounds=stop.rounds[1]))
        bags[two].append(replace(whole, rounds=stop.rounds[0]))
    return bags


def _seeded(parameters: Mapping[str, object], number: int) -> dict[str, object]:
    """The parameters of one booster of a bag: each draws other features."""
    return dict(parameters) | {"seed": int(str(parameters["seed"])) + number}


class _Stop:
    """LightGBM's early stopping for several held-out sets: on until each has gone ``PATIENCE`` rounds without
    doing better. ``rounds`` is after how many each did best until then, as if it had been alone: how long
    the others go on tells it nothing.
    """

    order = 30  # after the metrics are known
    before_iteration = False

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self._best: list[float] = []

    def __call__(self, state: Any) -> None:
        """One more round was boosted."""
        import lightgbm

        values = [value for _, _, value, _ in state.evaluation_result_list]
        self._best = self._best or [-np.inf] * len(values)
        self.rounds = self.rounds or [0] * len(values)
        now = state.iteration + 1
        for at, value in enumerate(values):
            if value > self._best[at] and now - self.rounds[at] <= PATIENCE:
                self._best[at], self.rounds[at] = value, now
        if all(now - best >= PATIENCE for best in self.rounds):
            raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)


def _boost(
    taught: Sequence[Group],
    parameters: Mapping[str, object],
    start: Line,
    rounds: int,
    *,
    held: Sequence[Sequence[Group]] = (),
    stop: _Stop | None = None,
) -> _Boosted:
    """Fit a line from ``start`` and boost ``rounds`` trees on it, or until ``stop`` has seen enough of the
    ``held`` groups.
    """
    import lightgbm  # a second of work, and only training needs it

    rising = [name in RISING for name in NAMES]
    known = [group for group in taught if not group.late]  # a line cannot tell the others apart: trees can
    own = line.fit([group.rows for group in known], [group.grades for group in known], start, rising)
    data = _dataset(taught, own, None)
    booster = lightgbm.train(
        dict(parameters) | {"monotone_constraints": list(map(int, rising))},
        data,
        rounds,
        valid_sets=[_dataset(groups, own, data) for groups in held] or None,
        callbacks=[stop] if stop else None,
    )
    return _Boosted(booster, own, rounds)


def _dataset(groups: Sequence[Group], own: Line, reference: lightgbm.Dataset | None) -> lightgbm.Dataset:
    import lightgbm

    rows = np.concatenate([group.rows for group in groups])
    return lightgbm.Dataset(
        rows,
        label=np.concatenate([group.grades for group in groups]),
        group=[len(group.grades) for group in groups],
        init_score=own.scores(rows),
        reference=reference,
        feature_name=list(NAMES),
    )


def _export(bag: Sequence[_Boosted]) -> Forest:
    """The mean of some boosters and their lines, each after so many rounds."""
    models = [one.booster.dump_model(num_iteration=one.rounds) for one in bag if one.rounds]
    trees = [tree["tree_structure"] for model in models for tree in model["tree_info"]]
    return Forest.from_trees(trees, NAMES, line=Line.mean([one.line for one in bag]), share=1 / len(bag))


def _figures(
    before: NDArray[np.float64], after: NDArray[np.float64], rounds: Sequence[int]
) -> dict[str, float]:
    """Held-out nDCG@10 before and after, the mean gain and its standard error."""
    gains = after - before
    return {
        "queries": float(len(gains)),
        "untrained": float(before.mean()),
        "learned": float(after.mean()),
        "gain": float(gains.mean()),
        "error": float(gains.std(ddof=1) / np.sqrt(len(gains))),
        "trees": float(np.median(rounds) * BAG),
    }
