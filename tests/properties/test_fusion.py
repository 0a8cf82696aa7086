"""What must hold of every fusion, whatever the scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerpost.retrieve.fuse import Fused, balanced, minmax, rrf, standardised

WEIGHTS = {"lexical": 1.0, "dense": 0.5, "maxsim": 2.0}
FUSIONS: dict[str, Callable[[dict], Fused]] = {
    "standardised": lambda legs: standardised(legs, WEIGHTS),
    "minmax": lambda legs: minmax(legs, WEIGHTS),
    "rrf": rrf,
}
score = st.one_of(st.integers(-800, 800).map(lambda n: n / 8), st.just(float("nan")))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, np.ndarray]:
    size = draw(st.integers(1, 12))
    column = st.lists(score, min_size=size, max_size=size)
    return {leg: np.array(draw(column), np.float32) for leg in WEIGHTS}


few = settings(max_examples=40)
every_fusion = pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS.keys())


@every_fusion
@few
@given(legs=tables(), seed=st.integers(0, 99))
def test_the_order_of_candidates_does_not_matter(fusion, legs, seed):
    shuffle = np.random.default_rng(seed).permutation(len(legs["dense"]))
    shuffled = fusion({leg: scores[shuffle] for leg, scores in legs.items()})
    assert np.allclose(shuffled.scores, fusion(legs).scores[shuffle], atol=1e-9)


@every_fusion
@few
@given(legs=tables(), leg=st.sampled_from(sorted(WEIGHTS)))
def test_a_better_score_in_every_leg_is_never_ranked_below(fusion, legs, leg):
    fused = fusion(legs)
    columns = np.stack([np.nan_to_num(scores, nan=-np.inf) for scores in legs.values()])
    best = (columns >= columns[:, :1]).all(axis=0)
    assert (fused.scores[best] >= fused.scores[0] - 1e-9).all()


@every_fusion
@few
@given(legs=tables())
def test_a_leg_that_scored_nothing_changes_nothing(fusion, legs):
    silent = legs | {"maxsim": np.full(len(legs["dense"]), np.nan, np.float32)}
    absent = {leg: scores for leg, scores in legs.items() if leg != "maxsim"}
    assert np.array_equal(fusion(silent).scores, fusion(absent).scores)


@every_fusion
@few
@given(legs=tables(), factor=st.sampled_from([0.25, 2.0, 64.0]))
def test_the_scale_of_a_leg_does_not_matter(fusion, legs, factor):
    scaled = legs | {"lexical": legs["lexical"] * np.float32(factor)}
    assert np.allclose(fusion(scaled).scores, fusion(legs).scores, atol=1e-6)


@every_fusion
@few
@given(legs=tables())
def test_parts_sum_to_the_score(fusion, legs):
    fused = fusion(legs)
    for at in range(len(fused.scores)):
        assert np.isclose(sum(fused.parts(at).values()), fused.scores[at])
    assert np.isfinite(fused.scores).all()


@every_fusion
def test_no_candidates_and_no_legs(fusion):
    assert len(fusion({}).scores) == 0
    assert len(fusion({"dense": np.empty(0, np.float32)}).scores) == 0


def test_equal_scores_stay_in_the_order_given():
    fused = standardised({"dense": np.array([0.5, 0.7, 0.5, 0.7])}, WEIGHTS)
    assert fused.order.tolist() == [1, 3, 0, 2]


def test_rounding_noise_is_not_a_signal():
    noise = np.array([0.1, 0.1 + 1e-9, 0.1 - 1e-9])
    assert not standardised({"dense": noise}, WEIGHTS).scores.any()


def test_a_sure_dense_leg_weighs_more_than_an_unsure_one():
    lexical = np.array([3.0, 2.0, 1.0])
    sure = balanced({"lexical": lexical, "dense": np.array([0.1, 0.2, 0.8])}, WEIGHTS)
    unsure = balanced({"lexical": lexical, "dense": np.array([0.1, 0.2, 0.3])}, WEIGHTS)
    assert sure.order[0] == 2
    assert unsure.order[0] == 0
    assert sure.weights["dense"] <= 3 * WEIGHTS["dense"]


@few
@given(legs=tables(), seed=st.integers(0, 99))
def test_the_balanced_sum_is_a_weighted_sum_whatever_the_order(legs, seed):
    fused = balanced(legs, WEIGHTS)
    shuffle = np.random.default_rng(seed).permutation(len(legs["dense"]))
    shuffled = balanced({leg: scores[shuffle] for leg, scores in legs.items()}, WEIGHTS)
    assert np.allclose(shuffled.scores, fused.scores[shuffle], atol=1e-6)
    assert np.isfinite(fused.scores).all()
    total = sum(fused.weights[leg] * factor for leg, factor in fused.factors.items())
    assert np.allclose(total, fused.scores)
    assert (np.array(list(fused.weights.values())) >= 0).all()


@few
@given(legs=tables())
def test_without_any_dense_score_the_balanced_sum_goes_by_the_others(legs):
    silent = legs | {"dense": np.full(len(legs["dense"]), np.nan, np.float32)}
    absent = {leg: scores for leg, scores in legs.items() if leg != "dense"}
    assert np.array_equal(balanced(silent, WEIGHTS).scores, balanced(absent, WEIGHTS).scores)


def test_infinite_scores_count_as_missing():
    fused = standardised({"dense": np.array([np.inf, 0.1, 0.2])}, WEIGHTS)
    assert fused.scores[0] == fused.scores[1] < fused.scores[2]
