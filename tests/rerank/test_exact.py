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
    assert held.tolist() == [True, False, True, False, False]


@given(st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=1, max_size=20))
def test_tiers_keep_their_order(pairs):
    scores, exact = (np.array(column) for column in zip(*pairs, strict=True))
    lifted, added = lift(scores, exact)
    assert np.allclose(lifted - added, scores)
    if exact.any() and not exact.all():
        assert lifted[exact].min() > lifted[~exact].max()
    for tier in (exact, ~exact):
        assert (np.argsort(-scores[tier], kind="stable") == np.argsort(-lifted[tier], kind="stable")).all()
