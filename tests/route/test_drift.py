"""Audits switch the router off when, and only when, they have reason to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.route.drift import Audit, advice, clopper_pearson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (45, 50, 0.7819, 0.9667), (1, 1000, 0.0000253, 0.005559)],
)
def test_bounds_agree_with_published_tables(hits: int, count: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, count) == pytest.approx((low, high), abs=1e-4)


@given(count=st.integers(1, 2000), share=st.floats(0, 1))
def test_bounds_hold_the_share(count: int, share: float) -> None:
    low, high = clopper_pearson(share * count, count)
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1


def test_few_audits_do_not_judge_and_many_bad_ones_do() -> None:
    assert Audit(29, 0.0).verdict(0.9) == ""
    assert "recall 0.50" in Audit(30, 15.0).verdict(0.9)
    assert Audit(3000, 2750.0).verdict(0.9) == ""


def test_advice_says_what_to_do() -> None:
    report = advice(newer=200, chunks=1000, audit=Audit(100, 60.0), target=0.9)
    assert report.counts["newer_share"] == 0.2
    assert len(report.notes) == 2
    assert not advice(newer=0, chunks=0, audit=Audit(), target=0.9).notes
