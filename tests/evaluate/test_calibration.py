"""Promises of a score: a good fit lies on the diagonal, a useless score promises the mean."""

from __future__ import annotations

import numpy as np
import pytest

from fingerpost.evaluate.calibration import kept, reliability, sigmoid_of, wilson


def test_chances_that_were_made_are_found_again() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(3, 2, 20_000)
    chance = 1 / (1 + np.exp(-(1.5 * scores - 4)))
    right = rng.uniform(size=len(scores)) < chance
    slope, offset = sigmoid_of(scores, right)
    assert (slope, offset) == (pytest.approx(1.5, rel=0.05), pytest.approx(-4, rel=0.05))
    told = reliability(scores, right)
    assert told is not None
    assert told.error < 0.02
    assert told.brier < 0.7 * told.base
    assert sum(each.count for each in told.bins) == 10_000
    assert all(each.low <= each.right <= each.high for each in told.bins)
    assert sum(each.low <= each.promised <= each.high for each in told.bins) >= 8


def test_a_score_that_tells_nothing_promises_the_mean() -> None:
    rng = np.random.default_rng(2)
    told = reliability(rng.normal(size=4_000), rng.uniform(size=4_000) < 0.3)
    assert told is not None
    assert all(abs(each.promised - 0.3) < 0.06 for each in told.bins)
    assert told.brier == pytest.approx(told.base, abs=0.01)


def test_scores_that_separate_stay_finite() -> None:
    scores = np.arange(100, dtype=float)
    told = reliability(scores, scores >= 50)
    assert told is not None
    assert np.isfinite([told.slope, told.offset, told.brier]).all()
    assert told.brier < 0.05


def test_scores_of_one_value_are_no_error() -> None:
    told = reliability(np.ones(100), np.arange(100) % 2 == 0)
    assert told is not None
    assert told.slope == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        (np.arange(20.0), np.arange(20) % 2 == 0),
        (np.arange(100.0), np.ones(100, bool)),
        (np.full(100, np.nan), np.zeros(100, bool)),
        (np.zeros(0), np.zeros(0, bool)),
    ],
    ids=["few", "all right", "nothing found", "none"],
)
def test_too_little_is_not_shown(scores: np.ndarray, right: np.ndarray) -> None:
    assert reliability(scores, right) is None


def test_chances_are_shown_as_they_were_given() -> None:
    rng = np.random.default_rng(3)
    promised = rng.uniform(size=4_000)
    came = rng.binomial(10, promised) / 10
    honest, bold = kept(promised, came), kept(promised**0.25, came)
    assert honest is not None
    assert bold is not None
    assert honest.error < 0.02
    assert bold.error == pytest.approx((promised**0.25).mean() - 0.5, abs=0.02)
    assert all(each.low <= each.right <= each.high for each in honest.bins)
    assert kept(promised[:39], came[:39]) is None
    assert kept(np.full(100, np.nan), came[:100]) is None


def test_the_interval_of_nothing_right_begins_at_none() -> None:
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
