from __future__ import annotations

import json

import pytest

from fingerpost.evaluate.freshness import EDGES, Change, freshness


def test_percentiles_and_histogram_of_each_step() -> None:
    changes = [Change(str(at), 100.0, durable=100.0 + at / 1_000, lexical=100.05) for at in range(1, 101)]
    told = freshness(changes)
    assert told["durable"]["p50"] == pytest.approx(0.0505)
    assert told["durable"]["max"] == pytest.approx(0.1)
    counts = told["lexical"]["histogram"]["counts"]  # type: ignore[index]
    assert counts[EDGES.index(0.06)] == 100
    assert sum(counts) == 100
    assert told["routed"] == {
        "changes": 0,
        "waiting": 100,
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
        "histogram": {"below": list(EDGES), "counts": [0] * (len(EDGES) + 1)},
    }
    json.dumps(told, allow_nan=False)


def test_lags_beyond_the_last_edge_are_counted() -> None:
    told = freshness([Change("a", 0.0, dense=1e6)])
    assert told["dense"]["histogram"]["counts"][-1] == 1  # type: ignore[index]
