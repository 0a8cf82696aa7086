"""What must hold of every fusion, whatever the scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.retrieve.fuse import Fused, minmax, rrf, standardised

WEIGHTS = {"lexical": 1.0, "dense": 0.5, "maxsim": 2.0}
FUSIONS: dict[str, Callable[[dict], Fused]] = {
    "standardised": lambda legs: standardised(legs, WEIGHTS),
    "minmax": lambda legs: minmax(legs, WEIGHTS),
    "rrf": rrf,
}
score = st.one_of(st.floats(-100, 100, width=32), st.just(float("nan")))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, np.ndarray]:
    size = draw(st.integers(1, 30))
    column = st.lists(score, min_size=size, max_size=size)
    return {leg: np.array(draw(column), np.float32) for leg in WEIGHTS}


every_fusion = pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS.keys())


@every_fusion
@given(legs=tables(), seed=st.integers(0, 99))
def test_the_order_of_candidates_does_not_matter(fusion, legs, seed):
    shuffle = np.random.default_rng(seed).permutation(len(legs["dense"]))
    shuffled = fusion({leg: scores[shuffle] for leg, scores in legs.items()})
    assert np.allclose(shuffled.scores, fusion(legs).scores[shuffle], atol=1e-9)


@every_fusion
@given(legs=tables(), leg=st.sampled_from(sorted(WEIGHTS)))
def test_a_better_score_in_every_leg_is_never_ranked_below(fusion, legs, leg):
    fused = fusion(legs)
    columns = np.stack([np.nan_to_num(scores, nan=-np.inf) for scores in legs.values()])
    best = (columns >= columns[:, :1]).all(axis=0)
    assert (fused.scores[best] >= fused.scores[0] - 1e-9).all()


@every_fusion
@given(legs=tables())
def test_a_leg_that_scored_nothing_changes_nothing(fusion, legs):
    silent = legs | {"maxsim": np.full(len(legs["dense"]), np.nan, np.float32)}
    absent = {leg: scores for leg, scores in legs.items() if leg != "maxsim"}
    assert np.array_equal(fusion(silent).scores, fusion(absent).scores)


@every_fusion
@given(legs=tables(), factor=st.sampled_from([0.25, 2.0, 64.0]))
def test_the_scale_of_a_leg_does_not_matter(fusion, legs, factor):
    scaled = legs | {"lexical": legs["lexical"] * np.float32(factor)}
    assert np.allclose(fusion(scaled).scores, fusion(legs).scores, atol=1e-6)


@every_fusion
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


def test_equal_scores_are_ordered_by_key():
    fused = standardised({"dense": np.ones(3)}, WEIGHTS)
    assert fused.order(np.array([9, 2, 5])).tolist() == [1, 2, 0]


def test_rounding_noise_is_not_a_signal():
    noise = np.array([0.1, 0.1 + 1e-9, 0.1 - 1e-9])
    assert not standardised({"dense": noise}, WEIGHTS).scores.any()


def test_infinite_scores_count_as_missing():
    fused = standardised({"dense": np.array([np.inf, 0.1, 0.2])}, WEIGHTS)
    assert fused.scores[0] == fused.scores[1] < fused.scores[2]
