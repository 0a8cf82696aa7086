"""The plan: it learns from what a second look changed, says so in readable form, and fails safe."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fingerpost.errors import ModelError
from fingerpost.route import plan


def queries(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Queries whose first document changes the more surely, the smaller the lead of the first is."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, len(plan.NAMES)))
    lead = rows[:, plan.NAMES.index("lead")]
    return rows, rng.random(count) < 1 / (1 + np.exp(3 * lead))


def test_a_fitted_chance_means_what_it_says() -> None:
    chooser = plan.fit(*queries(4_000))
    rows, changed = queries(4_000, seed=1)
    chances = np.array([chooser.chance(row) for row in rows])
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.6), (0.6, 0.9), (0.9, 1.0)):
        inside = (chances >= low) & (chances < high)
        assert abs(changed[inside].mean() - chances[inside].mean()) < 0.05


def test_only_what_matters_gets_weight() -> None:
    weights = dict(zip(plan.NAMES, plan.fit(*queries(4_000)).weights, strict=True))
    assert weights.pop("lead") < -2
    assert max(map(abs, weights.values())) < 0.3


def test_fitting_survives_columns_that_never_vary_and_answers_that_never_do() -> None:
    rows = np.ones((50, len(plan.NAMES)))
    assert plan.fit(rows, np.zeros(50, bool)).chance(rows[0]) < 0.05
    assert plan.fit(rows, np.ones(50, bool)).chance(rows[0]) > 0.95


@pytest.mark.parametrize("chooser", [plan.DEFAULT, plan.NEVER, plan.fit(*queries(100))])
def test_a_plan_comes_back_from_its_bytes(chooser: plan.Chooser) -> None:
    assert plan.Chooser.from_bytes(chooser.to_bytes()) == chooser


def test_never_means_never() -> None:
    assert plan.NEVER.chance(np.full(len(plan.NAMES), -1e6)) == 1.0


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"weights": {"lead": 1}, "bias": 0}', b'{"weights": 3, "bias": 0}']
)
def test_bytes_that_are_no_plan_are_refused_with_a_cure(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        plan.Chooser.from_bytes(data)
    assert caught.value.code == "E_MODEL"
    assert "learn" in caught.value.cure


def test_the_artifact_can_be_read_by_a_person() -> None:
    found = json.loads(plan.DEFAULT.to_bytes())
    assert set(found["weights"]) == set(plan.NAMES)


def test_clear_winners_look_safer_than_close_races() -> None:
    docs = np.arange(30, dtype=np.int64)
    clear = np.concatenate([[20.0], np.linspace(3, 2, 29)])
    close = np.linspace(3.02, 2, 30)
    chances = []
    for scores in (clear, close):
        total = scores - scores.mean()
        cosine = scores / scores.max() * 0.7
        chances.append(plan.DEFAULT.chance(plan.features(scores, cosine, docs, total, terms=4)))
    assert chances[0] < 0.05 < chances[1]


def test_features_stand_missing_legs_and_single_candidates() -> None:
    one = np.array([5.0])
    nothing = np.array([np.nan])
    for lexical, dense in ((one, nothing), (nothing, one), (one, one)):
        row = plan.features(lexical, dense, np.array([3]), np.array([0.0]), terms=0)
        assert row.shape == (len(plan.NAMES),)
        assert np.isfinite(row).all()
