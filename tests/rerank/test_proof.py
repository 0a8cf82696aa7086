"""What is proof that questions gain: the level that is stated, and the same p-value as scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from fingerpost.rerank.proof import LEVELS, chance, proven


@pytest.mark.parametrize("seed", range(4))
def test_the_chance_is_that_of_all_signs_tried(seed: int) -> None:
    gains = np.random.default_rng(seed).normal(0.2, 0.5, 12)
    exact = permutation_test(
        (gains,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    alone = [str(at) for at in range(12)]
    assert chance(gains, alone, seed=seed) == pytest.approx(exact.pvalue, abs=0.015)


@pytest.mark.parametrize("seed", range(4))
def test_questions_about_one_document_share_a_sign(seed: int) -> None:
    gains = np.random.default_rng(seed).normal(0.2, 0.5, 36)
    exact = permutation_test(
        (gains.reshape(12, 3).sum(axis=1),),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    documents = [f"d{at // 3}" for at in range(36)]
    assert chance(gains, documents, seed=seed) == pytest.approx(exact.pvalue, abs=0.015)


@pytest.mark.parametrize(("count", "moved", "each"), [(60, 60, 1), (150, 30, 1), (400, 12, 1), (300, 300, 5)])
def test_what_gains_nothing_passes_as_seldom_as_is_stated(count: int, moved: int, each: int) -> None:
    """Few questions may have moved at all, as with nDCG they do; and those of a document move together."""
    random = np.random.default_rng(count)
    gains = np.zeros((1_000, count))
    alike = np.repeat(random.normal(0, 0.4, (1_000, -(-moved // each))), each, axis=1)[:, :moved]
    gains[:, :moved] = alike + random.normal(0, 0.2, (1_000, moved))
    documents = [f"d{at // each}" for at in range(count)]
    level = next(most for least, most in LEVELS if count >= least)
    most = 1_000 * level + 3 * np.sqrt(1_000 * level)
    assert sum(proven(row, documents) for row in gains) <= most
    if each > 1:
        blind = [str(at) for at in range(count)]
        assert sum(proven(row, blind) for row in gains) > 1.2 * most


def test_the_draw_hangs_on_its_seed_alone() -> None:
    gains, documents = np.random.default_rng(0).normal(0.02, 0.2, 3_000), [str(at) for at in range(3_000)]
    assert chance(gains, documents, seed=1) == chance(gains, documents, seed=1)
    assert chance(gains, documents, seed=1) == pytest.approx(chance(gains, documents, seed=2), abs=0.01)
