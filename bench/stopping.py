"""Stopping: leaves until a declared recall, by what the router and the results say, against a fixed budget.

    python -m bench.stopping --index bench/cache/speed-77000 [--queries 500] [--seeds 8]

Every question opens leaves best first, in rounds, each followed by the hop over the neighbour graph. A rule
stops at the first round whose signal is at most λ: the largest λ whose miss (Σ miss + 1) / (n + 1) keeps to
the target on calibration questions (conformal risk control: Angelopoulos et al. 2022, arXiv:2208.02814).
It is compared with the fixed budget that reaches the very same recall, between two rounds by a straight line.
Training questions that the head never saw calibrate, test questions are reported.

    mass       what the router's softmax leaves unopened: known before anything is searched
    bound      (μ + 3σ)·q of the best unopened leaves minus the tenth result's cosine
    results    a logistic model of what is still missing, from these and how the ten best moved in the round,
               fitted on half of the calibration questions
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.common import table, write
from bench.curves import SEEDS
from bench.router_corpus import SETS, Corpus, opened
from fingerpost.route import graph, train
from fingerpost.route.router import Router, softmax

ROUNDS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.09, 0.14, 0.25)
TARGETS = (0.9, 0.95, 0.97, 0.98)
HEAD, CALIBRATION = 2_000, 800
K = 10
NEXT = 8
NAMES = ("mass", "bound", "spread", "moved", "new", "hopped", "size")

Signal = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Tried:
    """Of m questions after each of r rounds: share scored and recall [m, r], signals [m, r, len(NAMES)]."""

    cost: np.ndarray
    recall: np.ndarray
    signals: np.ndarray

    def only(self, rows: np.ndarray) -> Tried:
        """Some of the questions."""
        return Tried(self.cost[rows], self.recall[rows], self.signals[rows])

    def stopped(self, signal: Signal, most: float) -> tuple[np.ndarray, np.ndarray]:
        """Share scored and recall of each question at the first round whose signal is at most ``most``."""
        enough = signal(self.signals) <= most
        enough[:, -1] = True
        at = np.arange(len(enough)), enough.argmax(axis=1)
        return self.cost[at], self.recall[at]

    def fixed(self, recall: float) -> float:
        """The share that a fixed budget needs for that mean recall."""
        return float(
            np.interp(recall, np.maximum.accumulate(self.recall.mean(axis=0)), self.cost.mean(axis=0))
        )


def tried(
    corpus: Corpus, edges: np.ndarray, router: Router, queries: np.ndarray, lexical: np.ndarray
) -> Tried:
    """Every question through every round."""
    shares = train.vote_share(corpus.votes(lexical), router.n_leaves)
    exact = queries @ corpus.vectors.astype(np.float32).T
    mean, sigma, _ = router.statistics.batch(queries)
    found = []
    for at, (query, votes) in enumerate(zip(queries, shares, strict=True)):
        order = np.argsort(-(scores := router.score(query, votes)), kind="stable")
        chances, bounds = softmax(scores)[order], (mean[at] + 3 * sigma[at])[order]
        found.append(_rounds(corpus, edges, (exact[at], lexical[at, :SEEDS]), (order, chances, bounds)))
    columns = np.array(found)
    return Tried(columns[..., 0], columns[..., 1], columns[..., 2:])


def _rounds(corpus, edges, asked, routed) -> list[list[float]]:  # type: ignore[no-untyped-def]
    (exact, seeds), (order, chances, bounds) = asked, routed
    offsets, total = corpus.laid.leaf_offsets.astype(np.int64), len(exact)
    truth = np.argpartition(-exact, K)[:K]
    held, opened_leaves = np.cumsum(np.diff(offsets)[order]), 0
    scored, ten, last = np.zeros(total, dtype=np.bool_), seeds[:0], 0.0
    scored[seeds] = True
    found = []
    for share in ROUNDS:
        count = max(1, int(np.searchsorted(held, share * total, side="right")))
        for leaf in order[opened_leaves:count].tolist():
            scored[offsets[leaf] : offsets[leaf + 1]] = True
        opened_leaves = count
        before = _best(exact, scored, SEEDS)
        near = edges[np.concatenate([before, seeds])].ravel()
        scored[near[near >= 0]] = True
        now = _best(exact, scored, K)
        tenth, unopened = float(exact[now[-1]]), bounds[count : count + NEXT]
        signals = [
            np.log(max(1 - float(chances[:count].sum()), 1e-6)),
            float(unopened.max(initial=-1.0)) - tenth,
            float(exact[now[0]]) - tenth,
            tenth - last,
            float((~np.isin(now, ten)).mean()),
            float((~np.isin(now, before[:K])).mean()),
            np.log(scored.mean()),
        ]
        found.append([float(scored.mean()), float(scored[truth].mean()), *signals])
        ten, last = now, tenth
    return found


def _best(exact: np.ndarray, scored: np.ndarray, count: int) -> np.ndarray:
    """The best rows among those scored, best first."""
    rows = np.flatnonzero(scored)
    top = rows[np.argpartition(-exact[rows], count - 1)[:count]]
    return top[np.argsort(-exact[top])]


def logistic(given: Tried) -> Signal:
    """The share still missing, by iteratively reweighted least squares on all rounds."""
    rows, missing = given.signals.reshape(-1, len(NAMES)), 1 - given.recall.ravel()
    centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9

    def table_of(values: np.ndarray) -> np.ndarray:
        scaled = (values - centre) / scale
        return np.concatenate([scaled, np.ones((*scaled.shape[:-1], 1))], axis=-1)

    inputs, weights = table_of(rows), np.zeros(len(NAMES) + 1)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 0.01 * np.eye(len(weights))
        weights += np.linalg.solve(curve, inputs.T @ (missing - chance) - 0.01 * weights)
    return lambda values: table_of(values) @ weights


def careless(given: Tried, signal: Signal, target: float) -> float:
    """The largest λ that conformal risk control allows; −∞ where none does."""
    for most in np.quantile(signal(given.signals), np.linspace(1, 0, 200)).tolist():
        missed = 1 - given.stopped(signal, most)[1]
        if (missed.sum() + 1) / (len(missed) + 1) <= 1 - target:
            return float(most)
    return -np.inf


def compared(calibration: Tried, test: Tried, seeds: int) -> list[list[object]]:
    """A row a target and rule, means over splits of the calibration questions."""
    columns: dict[str, Signal] = {"mass": lambda s: s[..., 0], "bound": lambda s: s[..., 1]}
    rows: list[list[object]] = []
    for target in TARGETS:
        found: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(seeds):
            parts = np.array_split(np.random.default_rng(seed).permutation(len(calibration.cost)), 2)
            fit, judge = (calibration.only(part) for part in parts)
            for name, signal in {**columns, "results": logistic(fit)}.items():
                cost, recall = test.stopped(signal, careless(judge, signal, target))
                reached = float(recall.mean())
                found.setdefault(name, []).append((float(cost.mean()), reached, test.fixed(reached)))
        for name, values in found.items():
            cost, reached, fixed = np.mean(values, axis=0).tolist()
            spread = float(np.std([a / c for a, _, c in values]))
            rows.append([target, name, reached, f"{cost:.2%}", f"{fixed:.2%}", cost / fixed, spread])
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args()
    corpus = opened(options.index, list(SETS), options.queries)
    order = np.random.default_rng(0).permutation(len(corpus.train))
    head, aside = np.sort(order[:HEAD]), np.sort(order[HEAD : HEAD + CALIBRATION])
    offsets, vectors = corpus.laid.leaf_offsets, corpus.vectors
    votes = corpus.votes(corpus.train_lexical[head])
    docs = np.arange(len(vectors))
    taught = train.examples(corpus.train[head], vectors, offsets, docs=docs, votes=votes)
    router = Router.fit_statistics(vectors, offsets, addresses=corpus.laid.addresses)
    router, _ = train.leaf_head(router, taught)
    edges = graph.neighbours(vectors, offsets)
    calibration = tried(corpus, edges, router, corpus.train[aside], corpus.train_lexical[aside])
    test = tried(corpus, edges, router, corpus.test, corpus.test_lexical)
    rows = compared(calibration, test, options.seeds)
    header = ["target", "rule", "recall", "scored", "fixed budget, same recall", "ratio", "spread of ratio"]
    print(table(header, rows))
    rounds = [list(row) for row in zip(ROUNDS, test.cost.mean(axis=0), test.recall.mean(axis=0), strict=True)]
    facts = {"chunks": len(vectors), "calibration": len(calibration.cost), "test": len(test.cost)}
    named = [dict(zip(header, row, strict=True)) for row in rows]
    write("stopping", {**facts, "fixed": np.round(rounds, 4).tolist(), "rows": named})


if __name__ == "__main__":
    main()
