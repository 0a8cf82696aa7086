"""Confidence: its chances mean what they say, it is refused where it knows nothing, and fails by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fingerpost.errors import ModelError
from fingerpost.route import confidence
from fingerpost.route.confidence import Confidence


def questions(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rankings that are the more often right, the higher their first score and its lead."""
    rows = np.abs(np.random.default_rng(seed).normal(size=(count, 2)))
    chances = 1 / (1 + np.exp(2 - 2 * rows[:, 0] - rows[:, 1]))
    return rows, np.random.default_rng(seed + 1).random(count) < chances


def alone(count: int) -> list[str]:
    """A family for every question."""
    return [f"q{at}" for at in range(count)]


def test_a_chance_means_what_it_says_on_other_questions() -> None:
    found = confidence.fit(*questions(4_000), alone(4_000), seed=0)
    assert found is not None
    rows, right = questions(4_000, seed=7)
    chances = np.array([found.confidence.chance(row) for row in rows])
    for low in (0.2, 0.4, 0.6, 0.8):
        inside = (chances >= low) & (chances < low + 0.2)
        assert abs(right[inside].mean() - chances[inside].mean()) < 0.05
    assert Confidence.from_bytes(found.confidence.to_bytes()) == found.confidence


def test_signs_that_say_nothing_are_refused() -> None:
    rows, right = questions(400)
    shuffled = np.random.default_rng(4).permutation(right)
    assert confidence.fit(rows, shuffled, alone(400), seed=1) is None
    assert confidence.fit(rows[:99], right[:99], alone(99), seed=0) is None
    assert confidence.fit(rows, np.ones(400, bool), alone(400), seed=0) is None


def test_a_family_does_not_judge_what_it_taught() -> None:
    """Signs without a meaning, each question five times: known by heart, they would seem to have one."""
    random = np.random.default_rng(5)
    rows, right = random.normal(size=(24, 2)), random.random(24) < 0.5
    rows[:, 0] += np.where(right, 0.8, -0.8)
    many = np.repeat(rows, 5, axis=0), np.repeat(right, 5)
    apart = confidence.fit(*many, [f"q{at // 5}" for at in range(120)], seed=0)
    mixed = confidence.fit(*many, alone(120), seed=0)
    assert apart is not None
    assert mixed is not None
    assert mixed.brier < apart.brier
    assert confidence.fit(*many, ["one"] * 120, seed=0) is None


NAN = b'{"bias": NaN, "weights": {"score": 1, "lead": 1}}'


@pytest.mark.parametrize("body", [b"", b"[]", b'{"bias": 1}', NAN])
def test_bytes_that_are_no_confidence_are_named(body: bytes) -> None:
    with pytest.raises(ModelError, match="confidence"):
        Confidence.from_bytes(body)
    assert json.loads(Confidence((1.0, 2.0), 0.5).to_bytes())["weights"] == {"score": 1.0, "lead": 2.0}
