from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fingerpost.errors import UsageError
from fingerpost.evaluate.compare import compare, compared, holm, score_runs
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.significance import interval, paired_p


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    samples = (rng.random((200, 300)) < 0.3).astype(float)
    bounds = [interval(sample[:, None], resamples=300, seed=7)[:, 0] for sample in samples]
    covered = np.mean([low <= 0.3 <= high for low, high in bounds])
    assert 0.90 <= covered <= 0.99


def test_intervals_are_the_same_for_the_same_seed_and_empty_without_queries() -> None:
    values = np.random.default_rng(1).random((50, 3))
    assert np.array_equal(interval(values, seed=3), interval(values, seed=3))
    assert not np.array_equal(interval(values, seed=3), interval(values, seed=4))
    assert np.isnan(interval(np.empty((0, 2)))).all()


def test_the_exact_test_counts_every_pattern() -> None:
    one, other = np.array([0.9, 0.1, 0.7, 0.4]), np.array([0.2, 0.3, 0.1, 0.4])
    differences = one - other
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=4)]
    expected = np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums])
    assert paired_p(one, other) == pytest.approx(expected)


def test_drawn_patterns_agree_with_all_patterns() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.random(16), rng.random(16)
    patterns = np.array(list(product([1.0, -1.0], repeat=16)))
    exact = np.mean(np.abs(patterns @ (one - other)) >= abs((one - other).sum()) - 1e-12)
    assert paired_p(one, other) == pytest.approx(exact, abs=0.02)


def test_no_difference_is_called_significant_at_the_stated_rate() -> None:
    rng = np.random.default_rng(3)
    p = [paired_p(rng.random(40), rng.random(40), resamples=500, seed=at) for at in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert paired_p(np.ones(5), np.ones(5)) == 1.0


def test_holm_never_lowers_a_p_value() -> None:
    p = np.random.default_rng(4).random(9)
    assert (holm(p) >= p).all()


def test_the_table_marks_the_runs_that_are_beaten() -> None:
    rng = np.random.default_rng(5)
    base = rng.random((200, 2))
    values = {"bm25": base, "same": base.copy(), "better": np.minimum(1, base + np.array([0.2, 0.0]))}
    measures = parse("nDCG@10 failure@20")
    found = compare(values, measures)
    assert found.beaten(2, 0) == (0, 1)
    assert found.beaten(0, 0) == ()
    told = compared(found)
    assert "better" in told
    assert "ᵃᵇ" in told
    assert compared(found, markdown=True).splitlines()[1].startswith("|:--|")


def test_less_failure_is_better() -> None:
    values = {"fails": np.ones((50, 1)), "works": np.zeros((50, 1))}
    assert compare(values, parse("failure@20")).beaten(1, 0) == (0,)


@pytest.mark.parametrize("values", [{"a": np.ones((3, 1))}, {"a": np.ones((3, 1)), "b": np.ones((4, 1))}])
def test_runs_that_cannot_be_compared_are_refused(values: dict[str, np.ndarray]) -> None:
    with pytest.raises(UsageError):
        compare(values, parse("AP"))


def test_runs_are_scored_on_every_judged_query() -> None:
    found = score_runs({"a": {"q1": {"d": 1.0}}}, {"q1": {"d": 1}, "q2": {"d": 1}}, parse("R@1"))
    assert found["a"].tolist() == [[1.0], [0.0]]
