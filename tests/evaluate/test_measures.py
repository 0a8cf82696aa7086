from __future__ import annotations

import pytest

from fingerpost.errors import UsageError
from fingerpost.evaluate.measures import parse, score


def test_names_stay_as_they_were_asked_for() -> None:
    assert [str(each) for each in parse("MRR@10, Hits@1\nR@100 MRR@10")] == ["MRR@10", "Hits@1", "R@100"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nDGC@10", "nDCG@10"),
        ("Recal@100", "Recall@100"),
        ("mrr10", "MRR@10"),
        ("hit1", "Hits@1"),
        ("ndcg@", "nDCG@10"),
    ],
)
def test_an_unknown_measure_names_near_ones(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(name)
    assert caught.value.code == "E_METRIC"
    assert near in caught.value.cure


@pytest.mark.parametrize(
    "name", ["", "R", "P", "Hits", "nDCG@0", "nDCG@-1", "nDCG@1e3", "x" * 10_000, "nDCG(rel=2)@10"]
)
def test_what_cannot_be_computed_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(name)
    assert caught.value.code == "E_METRIC"
    assert len(str(caught.value)) < 300


def test_failure_is_one_minus_success() -> None:
    run, grades = {"a": 3.0, "b": 2.0, "c": 1.0}, {"b": 1}
    assert score(parse("failure@1 failure@2 Success@2"), run, grades).tolist() == [1.0, 0.0, 1.0]
    assert not parse("failure@1")[0].higher_is_better


def test_an_empty_ranking_scores_nothing() -> None:
    assert score(parse("nDCG@10 R@5 AP failure@20"), {}, {"a": 1}).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="E_RANGE"):
        score(parse("AP"), {"a": float("nan")}, {"a": 1})
