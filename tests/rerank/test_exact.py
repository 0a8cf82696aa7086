"""Exact matches of identifiers come first, and only then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.rerank.exact import holding, lift, only_names
from fingerpost.text.query import parse


@pytest.mark.parametrize(
    "text",
    [
        "E4012",
        "ERR_CONN_RESET",
        "CVE-2024-3094",
        "foo.bar.baz",
        "--dry-run",
        "getUserName",
        "E4012, ERR_CONN",
    ],
)
def test_queries_of_identifiers_alone(text):
    assert only_names(parse(text))


@pytest.mark.parametrize("text", ["what is E4012", "rotate the key", "the", "E4012 login fails"])
def test_queries_with_other_words(text):
    assert not only_names(parse(text))


def test_every_code_must_stand_whole():
    texts = [
        "see ERR_CONN_RESET and E4012.",
        "ERR_CONN_RESET_PEER, E4012",
        "err_conn_reset e4012",
        "E4012",
        None,
    ]
    held = holding(parse("ERR_CONN_RESET E4012"), texts)
    assert held.tolist() == [2, 0, 1, 0, 0]


def test_letters_as_they_are_typed_come_first():
    texts = ["the content_type of it", "header CONTENT_TYPE", "Content-Type"]
    assert holding(parse("CONTENT_TYPE"), texts).tolist() == [1, 2, 0]
    assert holding(parse("content_type"), texts).tolist() == [2, 1, 0]
    assert holding(parse("straße_1"), ["strasse_1 x", "other"]).tolist()[1] == 0


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 2)), min_size=1, max_size=20))
def test_tiers_keep_their_order(pairs):
    scores, tiers = (np.array(column) for column in zip(*pairs, strict=True))
    lifted, added = lift(scores, tiers)
    assert np.allclose(lifted - added, scores)
    for low, high in ((0, 1), (0, 2), (1, 2)):
        if (tiers == low).any() and (tiers == high).any():
            assert lifted[tiers == high].min() > lifted[tiers == low].max()
    for tier in (tiers == 0, tiers == 1, tiers == 2):
        assert (np.argsort(-scores[tier], kind="stable") == np.argsort(-lifted[tier], kind="stable")).all()
