"""Training of the learned fusion, and the gate it must pass.

Queries are dealt to folds by the document they belong to, so that every figure is for documents the trees
have not seen. The forest is kept only if it beats the untrained sum on those held-out queries by more than
one standard error, and by enough to matter: with few pairs it is refused, and the untrained sum goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.rerank.features import NAMES, RISING, Table
from fingerpost.rerank.forest import START, Forest

if TYPE_CHECKING:
    import lightgbm

LEAST_QUERIES = 100  # with fewer, held-out figures are noise (cosqa: 1 standard error = 0.02 at 500)
LEAST_GAIN = 0.005
"""nDCG@10 below which a gain is not worth an epoch (``matters``)."""
FOLDS = 4
STOPS = range(1, FOLDS)
"""A forest is the mean of as many boosters, each stopped by another fold: with some hundred queries one alone
hangs on its draw of features (bench/LOG.md).
"""
ROUNDS = 200
PATIENCE = 25
CUTOFF = 10
START_WEIGHT = 2.0
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
    """One query for training: ``rows`` [n, F], ``grades`` [n] (0 = not relevant), its document."""

    rows: Table
    grades: NDArray[np.int32]
    document: str


@dataclass(frozen=True, slots=True)
class FitResult:
    """The forest, or None and ``reason``; ``figures`` by name, measured on held-out documents, and for each
    document a forest that was not taught about it: who judges with its own lessons judges too well.
    ``values`` is the held-out nDCG@10 of each group given, by whoever ranks from now on (the forest or the
    untrained sum).
    """

    forest: Forest | None
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)
    judges: Mapping[str, Forest] = field(default_factory=dict)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def fit(groups: Sequence[Group], *, seed: int = 0, threads: int = 1) -> FitResult:
    """Train on queries that have a relevant candidate; refuse what does not beat the untrained sum.

    Raises UsageError (E_PAIRS) where a group's rows and grades do not fit together.
    """
    for group in groups:
        _check(group)
    kept = [
        at for at, group in enumerate(groups) if group.grades.max(initial=0) > 0 and len(group.grades) > 1
    ]
    usable = [groups[at] for at in kept]
    values = np.array([ndcg(group.rows[:, NAMES.index(START)], group.grades) for group in groups])
    if len(usable) < LEAST_QUERIES:
        few = f"{len(usable)} usable queries, fewer than {LEAST_QUERIES}"
        return FitResult(None, few, values=values)
    fold = folds([group.document for group in usable], seed=seed)
    parameters = dict(_PARAMETERS) | {"seed": seed, "num_threads": threads}
    before, after = np.zeros(len(usable)), np.zeros(len(usable))
    rounds, judges = [], {}
    for held in range(FOLDS):
        bag = [_boost(*_split(usable, fold, held, stop), _seeded(parameters, stop), ROUNDS) for stop in STOPS]
        rounds += [booster.current_iteration() for booster in bag]
        forest = _export(bag)
        for at in np.flatnonzero(fold == held):
            group = usable[at]
            judges[group.document] = forest
            before[at] = ndcg(group.rows[:, NAMES.index(START)], group.grades)
            after[at] = ndcg(forest.predict(group.rows), group.grades)
    figures = _figures(before, after, rounds)
    if not matters(figures["gain"], figures["error"]):
        return FitResult(
            None, "no better than the untrained sum on held-out documents", figures, values=values
        )
    values[kept] = after
    enough = max(1, int(np.median(rounds)))
    final = [_boost(usable, [], _seeded(parameters, stop), enough) for stop in STOPS]
    reason = "better than the untrained sum on held-out documents"
    return FitResult(_export(final), reason, figures, judges, values)


def matters(gain: float, error: float) -> bool:
    """Whether a mean gain in nDCG@10 is more than its standard error, and enough to act on: a sixth of all
    random lessons gain one standard error, but hardly half a point.

    >>> matters(0.01, 0.004), matters(0.01, 0.02), matters(0.004, 0.001)
    (True, False, False)
    """
    return gain > max(error, LEAST_GAIN)


def folds(documents: Sequence[str], *, seed: int = 0) -> NDArray[np.int64]:
    """A fold 0 … FOLDS-1 for each query, the same for queries of the same document.

    >>> folds(["a", "b", "a"])[[0, 2]].tolist() in ([0, 0], [1, 1], [2, 2], [3, 3])
    True
    """
    names, which = np.unique(np.array(documents, dtype=object).astype(str), return_inverse=True)
    dealt: NDArray[np.int64] = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return dealt[which]


def ndcg(scores: NDArray[np.floating], grades: NDArray[np.int32], *, cutoff: int = CUTOFF) -> float:
    """nDCG with linear gains over these candidates; equal scores in the order given.

    >>> round(ndcg(np.array([0.1, 0.9]), np.array([1, 0], np.int32)), 3)
    0.631
    """
    discount = 1 / np.log2(np.arange(2, cutoff + 2))
    top = grades[np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")][:cutoff]
    ideal = np.sort(grades)[::-1][:cutoff]
    best = float(ideal @ discount[: len(ideal)])
    return float(top @ discount[: len(top)]) / best if best else 0.0


def _check(group: Group) -> None:
    if group.rows.shape != (len(group.grades), len(NAMES)) or (group.grades < 0).any():
        raise UsageError(
            "E_PAIRS",
            f"a query's rows {group.rows.shape} do not fit its {len(group.grades)} grades or are negative",
            cure=f"give rows of {len(NAMES)} features and one grade >= 0 a row",
        )


def _split(
    groups: Sequence[Group], fold: NDArray[np.int64], held: int, after: int
) -> tuple[list[Group], list[Group]]:
    """Training and stopping groups of one fold: that ``after`` it says when to stop, never the held one."""
    stop = (held + after) % FOLDS
    train = [group for group, at in zip(groups, fold, strict=True) if at not in (held, stop)]
    return train, [group for group, at in zip(groups, fold, strict=True) if at == stop]


def _seeded(parameters: Mapping[str, object], number: int) -> dict[str, object]:
    """The parameters of one booster of a bag: each draws other features."""
    return dict(parameters) | {"seed": int(str(parameters["seed"])) + number}


def _boost(
    train: Sequence[Group], stop: Sequence[Group], parameters: Mapping[str, object], rounds: int
) -> lightgbm.Booster:
    """Boost ``rounds`` trees, or as many as were best for the stopping groups where there are some."""
    import lightgbm  # a second of work, and only training needs it

    rising = [int(name in RISING) for name in NAMES]
    data = _dataset(train, None)
    booster = lightgbm.train(
        dict(parameters) | {"monotone_constraints": rising},
        data,
        rounds,
        valid_sets=[_dataset(stop, data)] if stop else None,
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)] if stop else None,
    )
    while stop and booster.current_iteration() > max(booster.best_iteration, 1):
        booster.rollback_one_iter()
    return booster


def _dataset(groups: Sequence[Group], reference: lightgbm.Dataset | None) -> lightgbm.Dataset:
    import lightgbm

    rows = np.concatenate([group.rows for group in groups])
    return lightgbm.Dataset(
        rows,
        label=np.concatenate([group.grades for group in groups]),
        group=[len(group.grades) for group in groups],
        init_score=START_WEIGHT * np.nan_to_num(rows[:, NAMES.index(START)].astype(np.float64)),
        reference=reference,
        feature_name=list(NAMES),
    )


def _export(bag: Sequence[lightgbm.Booster]) -> Forest:
    """The mean of some boosters."""
    trees = [tree["tree_structure"] for booster in bag for tree in booster.dump_model()["tree_info"]]
    return Forest.from_trees(trees, NAMES, start=START_WEIGHT, share=1 / len(bag))


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
        "trees": float(np.median(rounds) * len(STOPS)),
    }
