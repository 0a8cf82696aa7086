"""The report as Markdown holds the figures and no text of the user's."""

from __future__ import annotations

import numpy as np

from fingerpost.evaluate.attribute import CAUSES, Miss
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.markdown import markdown
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.page import Latency, Lost
from fingerpost.evaluate.report import Evaluation

RNG = np.random.default_rng(0)
PROMISED = RNG.normal(size=100)
FOUND = Evaluation(
    "tiny",
    "test",
    parse("nDCG@10 AP"),
    tuple(f"q{at}" for at in range(100)),
    {leg: RNG.uniform(size=(100, 2)) for leg in ("lexical", "search")},
    np.zeros(100, bool),
    promised=PROMISED,
    right=PROMISED > 0,
)
TIMES = {"route": np.array([1.0, 3.0]), "rerank": np.array([2.0, 4.0])}


def test_every_part_is_there() -> None:
    misses = [Miss("q1", "<script>|a|", cause, "because") for cause in CAUSES]
    told = markdown(
        FOUND,
        latency=Latency(TIMES, {"lexical": np.array([0.5])}),
        lost=Lost(misses, 10, {"q1": "| what |"}),
        answers=Fidelity(answers=3, statements=4, cited=4),
    )
    heads = [line for line in told.splitlines() if line.startswith("#")]
    assert heads[0] == "# Search quality"
    assert heads[2:] == ["## Latency of 2 queries", "## Where 8 misses were lost", "## Answers"]
    assert "whole search" in told
    assert f"{FOUND.value('AP'):.4f}" in told
    assert "- 1 × routing: " in told
    assert "- 100.0%  of the statements cite" in told
    assert "script" not in told
    assert "what |" not in told


def test_what_was_not_measured_is_left_out() -> None:
    told = markdown(FOUND, latency=Latency())
    assert "Latency" not in told
    assert "misses" not in told
    assert "Every relevant document was among the first 5." in markdown(
        FOUND, latency=Latency(), lost=Lost([], 5, {})
    )
