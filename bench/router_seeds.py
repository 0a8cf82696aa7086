"""Router over several seeds: the table of bench.router with its spread, and whether differences are real.

    python -m bench.router_seeds --kept FILE [--seeds 3] [--train 2000] [--test 250]

``FILE`` is an .npz of V [N, d], Qtrain, Btrain, Qtest, Btest: vectors of chunks, of training and test
questions, and BM25's best 100 rows for each; where it is missing it is made from the retrieval sets as
bench.router takes them, and kept. Each seed lays the leaves out anew, draws its training questions, trains
the head and the linear router from them, makes the neighbour graph, IVF and HNSW, and takes test questions
that no other seed takes. The share needed for 95 % of the exhaustive top 10 is given by seed and over all
questions with a bootstrap interval; differences to the trained router are paired by question. The chance of
the likeliest leaf is calibrated on every fifth training question, which the head does not see, and judged on
test questions.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.common import CACHE, table, write
from bench.curves import K, hnsw, ivf, ladr, routed
from bench.router_corpus import SETS, Corpus, load
from bench.router_rows import TARGET, linear, served
from fingerpost.config import Settings
from fingerpost.route import address, calibrate, graph, train
from fingerpost.route.router import Router

RESAMPLES = 1_000
OURS = "trained + hop + BM25 seeds"
Curves = dict[str, NDArray[np.float64]]
"""Router → each question's shares and recalls, [m, points, 2]."""


def main() -> None:
    """Measure every seed, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kept", type=Path, default=CACHE / "router-corpus.npz")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=250)
    options = parser.parse_args()
    if not options.kept.exists():
        keep(options.kept, options.seeds * options.test)
    stored = dict(np.load(options.kept))
    found, errors, began = [], [], time.process_time()
    for seed in range(options.seeds):
        curves, error = measured(corpus(stored, seed, options), seed)
        found.append(curves)
        errors.append(error)
        print(f"seed {seed}: {time.process_time() - began:.0f} cpu-s, {error}", flush=True)
    rows = summary(found)
    header = ["router", "share for 0.95, by seed", "over all", "more than ours"]
    print(table(header, [list(row.values()) for row in rows]))
    count = options.seeds * options.test
    about = {"chunks": len(stored["V"]), "seeds": options.seeds, "test_questions": count}
    about["cpu_s"] = round(time.process_time() - began)
    write("router_seeds", {**about, "rows": rows, "leaf_calibration_error": errors})


def keep(path: Path, tests: int) -> None:
    """The sets as bench.router takes them, in a file."""
    made = load(CACHE / "vectors", list(SETS), tests)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {"Qtrain": made.train, "Btrain": made.train_lexical, "Qtest": made.test}
    np.savez(path, V=made.vectors, **named, Btest=made.test_lexical)


def corpus(stored: dict[str, NDArray], seed: int, options: argparse.Namespace) -> Corpus:
    """Leaves of this seed, its training questions, and test questions of its own."""
    laid = address.build(stored["V"], leaf_chunks=Settings().route.leaf_chunks, seed=seed)
    vectors, place = stored["V"][laid.order], np.argsort(laid.order)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(stored["Qtrain"]))[: options.train])
    dealt = np.random.default_rng(0).permutation(len(stored["Qtest"]))
    asked = np.sort(dealt[seed * options.test : (seed + 1) * options.test])
    if len(asked) < options.test:
        raise SystemExit(
            f"{len(dealt)} test questions are too few for {options.seeds} seeds of {options.test}"
        )
    test = stored["Qtest"][asked]
    return Corpus(
        vectors,
        laid,
        stored["Qtrain"][drawn],
        test,
        place[stored["Btrain"][drawn]],
        place[stored["Btest"][asked]],
        test @ vectors.astype(np.float32).T,
    )


def measured(given: Corpus, seed: int) -> tuple[Curves, dict[str, float]]:
    """Every router on the test questions of one seed, and the calibration error before and after."""
    laid, docs = given.laid, np.arange(len(given.vectors))
    plain = Router.fit_statistics(given.vectors, laid.leaf_offsets, addresses=laid.addresses)
    taught, test = (
        train.examples(queries, given.vectors, laid.leaf_offsets, docs=docs, votes=given.votes(lexical))
        for queries, lexical in ((given.train, given.train_lexical), (given.test, given.test_lexical))
    )
    held = np.arange(len(given.train)) % 5 == 0
    learned, verdict = train.leaf_head(plain, taught.only(np.flatnonzero(~held)), seed=seed)
    edges = graph.neighbours(given.vectors, laid.leaf_offsets)
    truth = train.nearest_rows(given.test, given.vectors, K)
    scores = {
        "centroid IVF": test.queries @ laid.centroids.T,
        "optimist (untrained)": served(plain, test),
        "linear (learning to rank)": test.queries @ linear(given, taught).T,
        "trained": served(learned, test),
    }
    curves: Curves = {"oracle leaf order": _curve(given, truth, test.labels, edges, hop=False)}
    for name, each in scores.items():
        curves[name] = _curve(given, truth, each, edges, hop=False)
        curves[f"{name} + hop + BM25 seeds"] = _curve(given, truth, each, edges, hop=True)
    curves["LADR (BM25 top 100, 16 neighbours)"] = ladr(given, truth, edges)
    curves["IVF (faiss, as many lists)"] = ivf(given, truth)
    curves["HNSW (faiss, M 16)"] = hnsw(given, truth)
    warm = calibrate.warmed(learned, taught.only(np.flatnonzero(held)))
    logits, cool = train.batch_scores(learned, test), warm.calibration.temperature
    return curves, {
        "before": round(calibrate.leaf_error(logits, test.labels), 4),
        "after": round(calibrate.leaf_error(logits / cool, test.labels), 4),
        "temperature": round(cool, 3),
        "head accepted": float(verdict.accepted),
    }


def _curve(given: Corpus, truth: NDArray, scores: NDArray, edges: NDArray, *, hop: bool) -> NDArray:
    order = np.argsort(-scores, axis=1, kind="stable")
    return routed(given, truth, order, edges, hop=hop, seeds=hop)


def needed(values: NDArray[np.float64]) -> float:
    """The share scored for the target recall, by straight lines between what was measured; NaN where the
    target is never met.

    >>> needed(np.array([[[0.1, 0.9], [0.2, 1.0]]]))
    0.15
    """
    shares, recalls = values.mean(axis=0).T
    order = np.argsort(shares, kind="stable")
    rising = np.maximum.accumulate(recalls[order])
    short = rising[-1] < TARGET
    return float("nan") if short else round(float(np.interp(TARGET, rising, shares[order])), 10)


def summary(found: list[Curves]) -> list[dict[str, str]]:
    """A row a router: by seed, over all questions with an interval, and how much more than ours it needs."""
    pooled = {name: np.concatenate([curves[name] for curves in found]) for name in found[0]}
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(pooled[OURS]), len(pooled[OURS])) for _ in range(RESAMPLES)]
    again = {name: np.array([needed(values[rows]) for rows in draws]) for name, values in pooled.items()}
    rows = []
    for name, values in pooled.items():
        each = [needed(curves[name]) for curves in found]
        more = again[name] - again[OURS]
        rows.append(
            {
                "router": name,
                "by seed": _spread(each),
                "over all": _told(needed(values), again[name], values),
                "more than ours": _told(needed(values) - needed(pooled[OURS]), more, values),
            }
        )
    return rows


def _spread(each: list[float]) -> str:
    known = np.isfinite(each).all() and len(each) > 1
    return f"{np.mean(each):.2%} ± {np.std(each, ddof=1):.2%}" if known else "–"


def _told(value: float, again: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    """A share with its interval; where the target is not met, the best mean recall."""
    if not np.isfinite([value, *again]).all():
        return f"never ({values[..., 1].mean(axis=0).max():.3f})"
    low, high = np.quantile(again, [0.025, 0.975])
    return f"{value:+.2%} [{low:.2%}, {high:.2%}]"


if __name__ == "__main__":
    main()
