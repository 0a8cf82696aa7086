"""Weights chosen on made-up questions, and when they are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fingerpost.errors import ModelError
from fingerpost.rerank.learn import folds
from fingerpost.retrieve import weigh
from fingerpost.retrieve.fuse import BALANCED, Balance, balanced
from fingerpost.retrieve.weigh import Example, fit

CANDIDATES = 40


def examples(count: int, *, good: str, seed: int = 0) -> list[Example]:
    """Questions whose answer one leg tells from the others and the other legs do not."""
    rng = np.random.default_rng(seed)
    made = []
    for at in range(count):
        right = np.arange(CANDIDATES) == rng.integers(CANDIDATES)
        legs = {leg: rng.normal(size=CANDIDATES) for leg in ("lexical", "maxsim", "ordered", "title")}
        legs["dense"] = 0.3 + 0.1 * rng.normal(size=CANDIDATES)
        if good:
            spread = legs[good].std()
            legs[good] = legs[good] + right * 2.0 * spread
        made.append(Example(legs, right, f"d{at}"))
    return made


def test_the_leg_that_knows_is_listened_to() -> None:
    result = fit(examples(300, good="lexical"), folds)
    assert result.balance is not None
    assert result.balance.weights["lexical"] > BALANCED.weights["lexical"]
    assert result.balance.weights["lexical"] / result.balance.weights["maxsim"] > 2 * (
        BALANCED.weights["lexical"] / BALANCED.weights["maxsim"]
    )
    assert result.balance.questions == 300
    assert result.figures["gain"] > 2 * result.figures["error"] > 0


def test_unseen_questions_gain_what_was_promised() -> None:
    result = fit(examples(400, good="lexical"), folds)
    assert result.balance is not None

    def hits(balance: Balance) -> float:
        unseen = examples(400, good="lexical", seed=1)
        sums = (balanced(one.legs, balance.weights, power=balance.power).scores for one in unseen)
        return float(np.mean([one.right[scores.argmax()] for one, scores in zip(unseen, sums, strict=True)]))

    assert hits(result.balance) > hits(BALANCED) + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_noise_chooses_nothing(seed: int) -> None:
    result = fit(examples(300, good="", seed=seed), folds)
    assert result.balance is None
    assert "no better" in result.reason


def test_a_kind_of_question_that_would_lose_has_a_veto() -> None:
    one, other = examples(150, good="lexical"), examples(150, good="maxsim", seed=1)
    for kind in ("", "other"):
        mixed = [*one, *(replace(example, kind=kind) for example in other)]
        result = fit(mixed, folds)
        table = weigh._table(mixed)
        dials = weigh._dials(result.balance or BALANCED)
        gains = table.ndcg(dials) - table.ndcg(weigh._dials(BALANCED))
        assert not kind or gains[150:].mean() > -0.01


def test_too_few_questions_choose_nothing() -> None:
    result = fit(examples(weigh.LEAST - 1, good="lexical"), folds)
    assert result.balance is None
    assert "fewer than" in result.reason


def test_a_dial_moves_no_further_than_a_factor_of_two() -> None:
    result = fit(examples(300, good="title"), folds)
    assert result.balance is not None
    moved = [result.balance.weights[leg] / BALANCED.weights[leg] for leg in BALANCED.weights]
    assert max(moved) <= 2 + 1e-3
    assert min(moved) >= 0.5 - 1e-3


def test_candidates_of_one_question_do_not_depend_on_how_many_another_has() -> None:
    given = examples(150, good="lexical")
    shorter = [
        one
        if at % 2
        else replace(one, legs={leg: v[:30] for leg, v in one.legs.items()}, right=one.right[:30])
        for at, one in enumerate(given)
    ]
    known = [one for one in shorter if one.right.any()]
    alone = weigh._table(known[:1]).ndcg({**BALANCED.weights, "power": BALANCED.power})
    together = weigh._table(known).ndcg({**BALANCED.weights, "power": BALANCED.power})
    assert alone[0] == together[0]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"weights": {"dense": -1}, "power": 8, "questions": 1}', b'{"weights": 1}']
)
def test_a_damaged_balance_is_named(body: bytes) -> None:
    with pytest.raises(ModelError, match="E_MODEL"):
        Balance.from_bytes(body)


def test_a_gain_too_small_to_matter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = examples(300, good="lexical")
    assert fit(given, folds).balance is not None
    gain = fit(given, folds).figures["gain"]
    monkeypatch.setattr(weigh, "LEAST_GAIN", gain + 1e-6)
    assert fit(given, folds).balance is None
