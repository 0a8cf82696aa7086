"""Our measures against ir-measures (trec_eval and the MS MARCO script), on made-up and on generated runs."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.evaluate.measures import parse, score

OURS = "nDCG@10 nDCG R@3 R@100 P@5 P@1 RR RR@10 MRR@2 AP AP@4 Hits@1 Success@5 P(rel=2)@5 AP(rel=2)"
THEIRS = OURS.replace("MRR", "RR").replace("Hits", "Success")

ids = st.text(alphabet="abcABC-_/é0189", min_size=1, max_size=3)
# pytrec_eval 0.5.11 never returns when every grade is negative, so those stand in a test of their own
grades = st.dictionaries(ids, st.integers(0, 4), min_size=1, max_size=12)
scores = st.one_of(
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([0.0, 1.0, 2.0, 1e-7]),
    st.floats(0.1, 0.1000001),  # ties in float32, not in float64
)
runs = st.dictionaries(ids, scores, min_size=1, max_size=30)


def theirs(run: dict[str, float], judged: dict[str, int]) -> list[float]:
    measures = [ir_measures.parse_measure(name) for name in THEIRS.split()]
    found = {m.measure: m.value for m in ir_measures.iter_calc(measures, {"q": judged}, {"q": run})}
    return [found[measure] for measure in measures]


@given(run=runs, judged=grades)
def test_equals_ir_measures_on_any_run(run: dict[str, float], judged: dict[str, int]) -> None:
    np.testing.assert_allclose(score(parse(OURS), run, judged), theirs(run, judged), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_equals_ir_measures_on_long_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = {f"d{at}": float(value) for at, value in enumerate(rng.normal(size=1_000).round(2))}
    judged = {f"d{at}": int(grade) for at, grade in enumerate(rng.integers(0, 3, size=1_200))}
    np.testing.assert_allclose(score(parse(OURS), run, judged), theirs(run, judged), rtol=0, atol=1e-9)


def test_a_wrong_formula_would_be_noticed() -> None:
    """The positive control: an exponential gain differs, so the oracle can tell formulas apart."""
    run, judged = {"a": 2.0, "b": 1.0}, {"a": 1, "b": 3}
    measure = [ir_measures.nDCG(gains={3: 7}) @ 10]
    exponential = next(iter(ir_measures.iter_calc(measure, {"q": judged}, {"q": run}))).value
    assert abs(score(parse("nDCG@10"), run, judged)[0] - exponential) > 0.01


def test_negative_grades_gain_nothing() -> None:
    run, judged = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": -1, "b": 2, "c": 0}
    np.testing.assert_allclose(score(parse(OURS), run, judged), theirs(run, judged), rtol=0, atol=1e-9)
    assert not score(parse("nDCG@10 AP R@5"), run, {"a": -2}).any()
