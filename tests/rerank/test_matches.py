"""Word matches against their definitions, by brute force where there is one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.rerank.matches import NAMES, Passage, ask, measure, table, whole
from fingerpost.text.query import parse
from fingerpost.text.tokens import analyze


def matched(query: str, text: str, title: str = "", idf=None) -> dict[str, float]:
    passage = Passage(analyze(text), analyze(title), f"{title}\n{text}")
    return dict(zip(NAMES, measure(ask(parse(query), idf), passage), strict=True))


def test_coverage_weighs_terms_by_their_idf():
    idf = {"rotat": 3.0, "key": 1.0}
    assert matched("rotate keys", "all keys", idf=idf)["coverage"] == 0.25
    assert matched("rotate keys", "all keys")["coverage"] == 0.5


def test_a_term_nobody_counted_is_as_rare_as_the_rarest():
    assert matched("rotate zyzzyva", "zyzzyva", idf={"rotat": 2.0})["coverage"] == 0.5


def test_order_and_nearness():
    near = matched("signing key rotation", "signing key rotation")
    far = matched("signing key rotation", "rotation of some other thing, and far away a key for signing")
    assert near["ordered"] == near["near"] == 1.0
    assert far["ordered"] == 0.0
    assert 0 < far["near"] < 0.5


def test_title_counts_both_ways():
    found = matched("rotate the signing key", "text", title="Signing keys of clusters")
    assert found["title"] == 2 / 3
    assert found["title_whole"] == 2 / 3


def test_codes_count_only_whole():
    text = "ERR_CONN_RESET happens; see foo.bar() and --dry-run"
    assert matched("err_conn_reset", text)["codes"] == 1.0
    assert matched("ERR_CONN", text)["codes"] == 0.0
    assert matched("foo.bar --dry-run x_missing", text)["codes"] == 2 / 3
    assert np.isnan(matched("plain words", text)["codes"])


def test_every_code_is_found_in_its_own_text():
    for code in ("CVE-2024-3094", "--flag", "C++", "E4012", "/etc/passwd", "@scope/pkg", "a::b", "v1.2.3"):
        folded = code.lower()
        assert whole(folded).search(f"see {folded}, please")
        assert not whole(folded).search(f"see {folded}9, please")


def test_a_passage_not_looked_at_is_missing_and_an_empty_one_is_not():
    rows = table(ask(parse("rotate keys")), [None, Passage([])])
    assert np.isnan(rows[0]).all()
    assert rows[1, NAMES.index("coverage")] == 0


def test_a_query_of_stop_words_matches_nothing():
    assert matched("to be or not to be", "to be or not to be")["coverage"] == 0.0
    assert table(ask(parse("the")), []).shape == (0, len(NAMES))


@given(st.lists(st.sampled_from("abcdx"), max_size=14), st.sampled_from(["a b", "a b c", "a b c d"]))
def test_the_shortest_window_is_the_shortest(terms, query):
    wanted = set(query.split()) & set(terms)
    windows = [
        end - start
        for start in range(len(terms))
        for end in range(start + 1, len(terms) + 1)
        if wanted <= set(terms[start:end])
    ]
    truth = len(wanted) / min(windows) if len(wanted) > 1 else 0.0
    asked = ask(type(parse("x"))(query, tuple(query.split()), ()))
    assert measure(asked, Passage(terms))[NAMES.index("near")] == truth
