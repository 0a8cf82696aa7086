"""The rows of the router's tables: each order of leaves as a curve, beside faiss's IVF and HNSW."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from bench import curves
from bench.router_corpus import Corpus
from fingerpost.config import Settings
from fingerpost.route import train
from fingerpost.route.descent import Adam
from fingerpost.route.router import TEMPERATURE, Router, softmax, worked_out

TARGET = 0.95
HEADER = ("router", "recall at 1 %", "2 %", "5 %", "10 %", f"share for {TARGET}", "products", "all")
OTHER = 16_000_000
"""Numbers (64 MB) that push what a plan reads out of the processor's caches."""


def peers(corpus: Corpus, truth: np.ndarray, folder: Path | None = None) -> list[list[object]]:
    """The rows of faiss's IVF and HNSW."""
    products = len(corpus.laid.addresses) / len(corpus.vectors)
    return [
        ["IVF (faiss, as many lists)", *row_of(curves.ivf(corpus, truth, folder), products)],
        ["HNSW (faiss, M 16)", *row_of(curves.hnsw(corpus, truth, folder))],
    ]


def variants(corpus, truth, orders, edges) -> list[list[object]]:  # type: ignore[no-untyped-def]
    """A row of the table for each order alone, with a hop, with a hop and BM25's best."""
    rows = []
    for name, (order, products) in orders.items():
        for extra, hop, seeds in (
            ("", False, False),
            (" + hop", True, False),
            (" + hop + BM25 seeds", True, True),
        ):
            curve = curves.routed(corpus, truth, order, edges, hop=hop, seeds=seeds)
            rows.append([name + extra, *row_of(curve, products / len(corpus.vectors))])
    return rows


def orders_of(corpus, test, examples, routers) -> dict[str, tuple[np.ndarray, int]]:  # type: ignore[no-untyped-def]
    """By name: the leaves of each query, best first, and how many products finding out takes."""
    leaves = len(corpus.laid.addresses)
    wide, few = worked_out(leaves)
    scores = {
        "oracle leaf order": (test.labels, 0),
        "centroid IVF": (test.queries @ corpus.laid.centroids.T, leaves),
    }
    if examples is not None:
        scores["linear (learning to rank)"] = (test.queries @ linear(corpus, examples).T, leaves)
    for name, router in routers.items():
        products = leaves + (2 * wide + 17 * few if router.trained else wide + 9 * few)
        scores[name] = (served(router, test), products)
    return {name: (np.argsort(-found, axis=1, kind="stable"), cost) for name, (found, cost) in scores.items()}


def served(router: Router, given: train.Examples) -> np.ndarray:
    """Scores as a search computes them, one query at a time, most leaves by their bound only."""
    return np.stack([router.score(q, votes) for q, votes in zip(given.queries, given.votes, strict=True)])


def linear(corpus: Corpus, given: train.Examples) -> np.ndarray:
    """One vector a leaf, from its centroid, by cross-entropy on where the exhaustive top-k lies: [L, d].

    Learning to rank for clustering (Vecchiato et al., SIGIR 2024, arXiv:2404.11731).
    """
    weights = corpus.laid.centroids / np.float32(TEMPERATURE)
    random = np.random.default_rng(0)
    everything, stepper = np.arange(len(weights)), Adam(weights, rate=0.05, steps=400)
    for _ in range(400):
        rows = random.permutation(len(given.queries))[:512]
        slope = (softmax(given.queries[rows] @ weights.T) - given.labels[rows]) / np.float32(len(rows))
        stepper.step(everything, slope.T @ given.queries[rows])
    return weights


def row_of(curve: np.ndarray, products: float = 0.0) -> list[object]:
    """Recall at four shares and the share for the target, by straight lines between what was measured; what
    scoring leaves costs, and all together.
    """
    shares, recalls = curve.mean(axis=0).T
    order = np.argsort(shares, kind="stable")
    shares, recalls = shares[order], np.maximum.accumulate(recalls[order])
    at = [
        float(np.interp(s, shares, recalls)) if shares[0] <= s <= shares[-1] else "–"
        for s in (0.01, 0.02, 0.05, 0.1)
    ]
    if recalls[-1] < TARGET:
        return [*at, f"never ({recalls[-1]:.3f})", f"{products:.1%}", "–"]
    need = float(np.interp(TARGET, recalls, shares))
    return [*at, f"{need:.1%}", f"{products:.1%}", f"{need + products:.1%}"]


def graph_recall(
    vectors: np.ndarray, edges: np.ndarray, rows: np.ndarray | None = None, count: int = 500
) -> float:
    """Of the 16 nearest of some rows (drawn from ``rows``), the share that the graph holds."""
    known = np.arange(len(vectors)) if rows is None else rows
    some = known[np.random.default_rng(0).permutation(len(known))[:count]]
    exact = train.nearest_rows(vectors[some].astype(np.float32), vectors, 17)
    return float(
        np.mean(
            [
                len(set(e) & set(t) - {r}) / 16
                for e, t, r in zip(edges[some].tolist(), exact.tolist(), some.tolist(), strict=True)
            ]
        )
    )


def plan_ms(router: Router, test: train.Examples, chunks: int) -> dict[str, float]:
    """Median processor time of a plan, one after the other and each after ``OTHER`` numbers were read."""
    routed = Settings().route.model_copy(update={"full_below": 0})
    other = np.ones(OTHER, dtype=np.float32)
    took: dict[str, list[float]] = {"at once": [], "after other work": []}
    for name, times in took.items():
        for query, votes in zip(test.queries, test.votes, strict=True):
            if name != "at once":
                other.sum()
            started = time.process_time_ns()
            router.plan(query, votes, settings=routed, n_chunks=chunks)
            times.append((time.process_time_ns() - started) / 1e6)
    return {name: round(float(np.median(times)), 3) for name, times in took.items()}
