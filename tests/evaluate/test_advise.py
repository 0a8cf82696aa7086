"""The rules of advice on values made up to be clear."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.cli import output
from fingerpost.evaluate.advise import (
    CLOSE,
    NAMES,
    Facts,
    Group,
    Stack,
    advise,
    break_even,
    choose,
    needed,
    p_values,
    repeated_share,
    to_json,
)

COUNT = 200
RNG = np.random.default_rng(0)
BASE = RNG.uniform(0.2, 0.7, COUNT)
NOISE = RNG.normal(0, 0.05, COUNT)
FACTS = Facts(questions=COUNT, documents=50, chunks=90)


def stacks(**gains: float) -> list[Stack]:
    """Stacks whose values are the base's plus a gain, with a little noise; each dearer than the last."""
    return [Stack(name, BASE + gain + NOISE * at, 2.0**at) for at, (name, gain) in enumerate(gains.items())]


def groups(seen: float = 0.5) -> list[Group]:
    known = np.arange(COUNT) < seen * COUNT
    named = np.arange(COUNT) % 2 == 0
    marks = {"seen": known, "unseen": ~known, "exact": named, "worded": ~named}
    return [Group(name, rows) for name, rows in marks.items()]


def test_the_significantly_best_is_chosen() -> None:
    assert choose(stacks(lexical=0.0, dense=-0.2, hybrid=0.1, search=0.2)) == "search"
    assert choose(stacks(lexical=0.3, dense=-0.2, hybrid=0.1, search=0.2)) == "lexical"


def test_the_simplest_is_chosen_among_equals() -> None:
    assert choose(stacks(lexical=0.0, dense=-0.2, hybrid=0.0, search=0.001)) == "lexical"


def test_a_small_difference_counts_where_it_is_certain() -> None:
    same = [Stack("lexical", BASE, 1.0), Stack("search", BASE + CLOSE / 2, 9.0)]
    assert choose(same) == "search"


@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=5), st.integers(0, 99))
def test_no_choice_is_significantly_worse_than_another(gains: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = [
        Stack(name, np.clip(rng.uniform(0, 1, 40) + gain, 0, 1), 1.0)
        for name, gain in zip(NAMES, gains, strict=False)
    ]
    chosen = choose(made)
    best = max(made, key=lambda stack: float(stack.values.mean())).name
    assert chosen == best or p_values(made, best)[chosen] >= 0.05


def test_what_was_not_learned_can_be() -> None:
    told = advise(stacks(lexical=0.0, search=0.2), FACTS, groups())
    assert any("there are no training pairs here" in line for line in told.would_change)
    rich = Facts(questions=COUNT, documents=50, chunks=90, available=800)
    told = advise(stacks(lexical=0.0, search=0.2), rich, groups())
    assert any("800 pairs – enough" in line and "fingerpost learn" in line for line in told.would_change)


def test_learning_that_hurts_new_documents_names_its_break_even() -> None:
    made = stacks(lexical=-0.2, search=0.0)
    learned = made[1].values + np.where(np.arange(COUNT) < COUNT / 2, 0.3, -0.1)
    told = advise([*made, Stack("learned", learned, 9.0)], FACTS, groups())
    assert told.stack == "learned"
    gains = "+0.300 on documents seen in training (100 questions), -0.100 on the others (100)"
    assert f"learning gains {gains}" in told.would_change
    assert any("fewer than 25%" in line for line in told.would_change)


def test_a_loss_on_a_handful_of_questions_is_no_break_even() -> None:
    made = stacks(lexical=-0.2, search=0.0)
    learned = made[1].values + np.where(np.arange(COUNT) < 0.95 * COUNT, 0.3, -0.1)
    told = advise([*made, Stack("learned", learned, 9.0)], FACTS, groups(0.95))
    assert not any("untrained would be better" in line for line in told.would_change)


def test_codes_and_words_served_by_different_stacks_are_told() -> None:
    named = np.arange(COUNT) % 2 == 0
    made = [Stack("lexical", BASE + 0.3 * named, 1.0), Stack("dense", BASE + 0.3 * ~named, 2.0)]
    told = advise(made, FACTS, groups())
    assert any("name codes do best with lexical, the others with dense" in line for line in told.would_change)


def test_few_questions_fresh_chunks_and_cost_are_told() -> None:
    made = [Stack("lexical", BASE[:9], 1.0), Stack("search", BASE[:9] + 0.2, 50.0)]
    rows = [Group(group.name, group.rows[:9]) for group in groups()]
    told = advise(made, Facts(questions=30, documents=5, chunks=9, fresh=0.5), rows)
    text = "\n".join(told.would_change)
    assert "9 questions are too few" in text
    assert "50% of the chunks are newer" in text
    assert "if 50.0 ms a query are too many: lexical takes 1.0 ms and loses 0.200" in text
    assert "judged on the 9 of 30 questions that were not taught" in told.reasons


def test_one_stack_alone_is_advised_without_a_test() -> None:
    told = advise(stacks(lexical=0.0), FACTS, groups())
    assert (told.stack, told.p) == ("lexical", {})
    assert json.loads(output.as_json(to_json(told)))["stacks"]["lexical"]["p"] is None


def test_the_json_holds_every_figure() -> None:
    facts = json.loads(output.as_json(to_json(advise(stacks(lexical=0.0, search=0.2), FACTS, groups()))))
    assert facts["stack"] == "search"
    assert facts["what"] == "the full search, untrained"
    assert facts["facts"]["questions"] == COUNT
    row = facts["stacks"]["lexical"]
    assert row["interval"][0] < row["nDCG@10"] < row["interval"][1]
    assert row["p"] < 0.001
    assert facts["stacks"]["search"]["p"] is None


@pytest.mark.parametrize(("seen", "unseen"), [(0.0, 0.0), (-0.1, -0.1), (0.1, 0.0), (-0.1, 0.1)])
def test_no_break_even_where_there_is_no_trade(seen: float, unseen: float) -> None:
    assert break_even(seen, unseen) is None


def test_edges() -> None:
    assert needed(BASE, BASE) is None
    assert repeated_share([]) == 0.0
