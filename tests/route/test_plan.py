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
    rows = rng.normal(size=(count, len(plan.LOOK)))
    lead = rows[:, plan.LOOK.index("lead")]
    return rows, rng.random(count) < 1 / (1 + np.exp(3 * lead))


def test_a_fitted_chance_means_what_it_says() -> None:
    chooser = plan.fit(*queries(4_000))
    rows, changed = queries(4_000, seed=1)
    chances = np.array([chooser.chance(row) for row in rows])
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.6), (0.6, 0.9), (0.9, 1.0)):
        inside = (chances >= low) & (chances < high)
        assert abs(changed[inside].mean() - chances[inside].mean()) < 0.05


def test_only_what_matters_gets_weight() -> None:
    weights = dict(zip(plan.LOOK, plan.fit(*queries(4_000)).weights, strict=True))
    assert weights.pop("lead") < -2
    assert max(map(abs, weights.values())) < 0.3


def test_fitting_survives_columns_that_never_vary_and_answers_that_never_do() -> None:
    rows = np.ones((50, len(plan.LOOK)))
    assert plan.fit(rows, np.zeros(50, bool)).chance(rows[0]) < 0.05
    assert plan.fit(rows, np.ones(50, bool)).chance(rows[0]) > 0.95


@pytest.mark.parametrize("found", [plan.DEFAULT, plan.NEVER, plan.DEFAULT.warier(2.0)])
def test_a_plan_comes_back_from_its_bytes(found: plan.Plan) -> None:
    assert plan.Plan.from_bytes(found.to_bytes()) == found


def test_never_means_never() -> None:
    assert plan.NEVER.look.chance(np.full(len(plan.LOOK), -1e6)) == 1.0
    assert plan.NEVER.words.chance(np.full(len(plan.WORDS), -1e6)) == 1.0


def test_a_plan_of_one_stage_that_an_older_version_learned_spares_nothing() -> None:
    assert plan.Plan.from_bytes(b'{"kind": "plan", "bias": 1, "weights": {"lead": -1}}') == plan.NEVER


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"kind": "plan", "look": {"bias": 0}}', b'{"kind": "plan", "weights": 3}']
)
def test_bytes_that_are_no_plan_are_refused_with_a_cure(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        plan.Plan.from_bytes(data)
    assert caught.value.code == "E_MODEL"
    assert "learn" in caught.value.cure


def test_the_artifact_can_be_read_by_a_person() -> None:
    found = json.loads(plan.DEFAULT.to_bytes())
    assert set(found["look"]["weights"]) == set(plan.LOOK)
    assert set(found["words"]["weights"]) == set(plan.WORDS)


def test_clear_winners_look_safer_than_close_races() -> None:
    docs = np.arange(30, dtype=np.int64)
    clear = np.concatenate([[20.0], np.linspace(3, 2, 29)])
    close = np.linspace(3.02, 2, 30)
    found = []
    for scores in (clear, close):
        cosine = scores / scores.max() * 0.7
        legs = {"lexical": scores, "dense": cosine, "maxsim": cosine, "maxsim_pairs": cosine}
        total = scores - scores.mean()
        found.append(plan.DEFAULT.look.chance(plan.features(plan.LOOK, legs, docs, total)))
        found.append(plan.DEFAULT.words.chance(plan.features(plan.WORDS, legs, docs, total)))
    clear_look, clear_words, close_look, close_words = found
    assert clear_look < 0.1 < close_look
    assert clear_words < 0.01 < close_words


def test_passages_of_one_document_are_no_rivals() -> None:
    scores = np.array([3.0, 2.9, 1.0])
    legs = {"lexical": scores, "dense": scores}
    for docs, ahead in ((np.array([7, 7, 8]), 2.0), (np.array([7, 8, 8]), 0.1)):
        found = plan.features(plan.LOOK, legs, docs, scores)
        assert found[plan.LOOK.index("ahead")] == pytest.approx(ahead / scores.std())


def test_a_leg_that_prefers_others_is_counted() -> None:
    legs = {"lexical": np.array([1.0, np.nan, 3.0]), "dense": np.array([np.nan, 0.5, 0.4])}
    found = plan.features(plan.LOOK, legs, np.arange(3), np.array([2.0, 1.0, 0.0]))
    assert found[3:].tolist() == pytest.approx([np.log(2), np.log(3)])


def test_features_stand_missing_legs_and_single_candidates() -> None:
    one = np.array([5.0])
    nothing = np.array([np.nan])
    for lexical, dense in ((one, nothing), (nothing, one), (one, one)):
        row = plan.features(plan.WORDS, {"lexical": lexical, "dense": dense}, np.array([3]), np.array([0.0]))
        assert row.shape == (len(plan.WORDS),)
        assert np.isfinite(row).all()
