"""Terms: offsets, identifiers, codes, and cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from fingerpost.text import tokens
from fingerpost.text.tokens import (
    MAX_TERM_CHARS,
    STOP_WORDS,
    analyze,
    codes,
    fold,
    places,
    spelled,
    terms,
    words,
)


def test_the_stop_words_are_lucenes() -> None:
    assert len(STOP_WORDS) == 33


@given(st.text(max_size=300))
def test_the_places_of_all_terms_hold_all_terms_in_order(text: str) -> None:
    found = places(text, set(analyze(text)))
    assert [term for start, end in found for term in analyze(text[start:end])] == analyze(text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert found == sorted(set(found))


@given(st.text(max_size=300))
def test_terms_survive_being_joined_and_split(text: str) -> None:
    for found in (analyze(text), codes(text)):
        assert " ".join(found).split() == found


@given(st.text(alphabet="abcXYZ019_ .-/:", max_size=80))
def test_ascii_and_unicode_paths_agree(text: str) -> None:
    assert analyze(text) == analyze(text + " ☃")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("parseHTTPResponse", ["parsehttprespons", "pars", "http", "respons"]),
        ("snake_case_name", ["snake_case_nam", "snake", "case", "name"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("iPhone", ["iphon", "phone"]),
        ("__init__", ["__init__"]),
        ("IDs DNA mRNA", ["id", "dna", "mrna", "rna"]),
        ("covid19 p53", ["covid19", "p53"]),
        ("don't", ["don", "t"]),
    ],
)
def test_identifiers_are_kept_and_split(text: str, terms: list[str]) -> None:
    assert analyze(text) == terms


@pytest.mark.parametrize(
    "code",
    [
        "err_conn_reset", "cve-2024-3094", "e4012", "foo.bar", "foo.bar.baz", "--dry-run", "v1.2.3", "1.2.3",
        "/etc/nginx/nginx.conf", "std::vector", "src/main.py", "c++", "c#", "$home", "@app.route", "0x7fff",
        "http://example.com/a", "utf-8", "covid-19", "c:\\windows", "rfc2616", "err-conn",
    ],
)  # fmt: skip
def test_codes_are_kept_whole(code: str) -> None:
    shown = "ERR-CONN" if code == "err-conn" else code
    assert codes(f"why does ({shown}), fail?") == [code]


@pytest.mark.parametrize(
    "text",
    [
        "plain words only",
        "state-of-the-art",
        "and/or",
        "e.g. this",
        "i.e. that",
        "2024",
        "end. Next",
        "NASA",
        "-",
        "U.S.",
    ],
)
def test_plain_words_are_not_codes(text: str) -> None:
    assert codes(text) == []


def test_calls_are_found_by_their_name() -> None:
    assert codes("call foo.bar() and getUserName(x)") == ["foo.bar", "getusername"]


def test_options_and_settings_are_found_by_their_name() -> None:
    assert codes("git log --date=short with MAX_SIZE=10 and timeout=30") == ["--date", "max_size"]


def test_the_caches_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_CACHED_WORDS", 50)
    for n in range(1_000):
        analyze(f"w{n}")
        codes(f"w{n}")
    assert len(tokens._BODY) <= 50 * 2
    assert len(tokens._CODES) <= 50 * 2
    tokens._BODY.clear()
    tokens._CODES.clear()


def test_a_long_run_is_cut_into_terms() -> None:
    assert [len(term) for term in analyze("x" * 600)] == [MAX_TERM_CHARS, MAX_TERM_CHARS, 90]
    assert all(len(code) <= MAX_TERM_CHARS for code in codes("/" + "x1" * 50_000))


@pytest.mark.parametrize("piece", ["_", "a.", "A", "aB", "--", "a-/", "é", "\u0301", "::", "東", "1e", "#"])
def test_cost_is_linear(piece: str) -> None:
    assert_linear(lambda count: (analyze(piece * count), codes(piece * count), fold(piece * count)), 100_000)


def test_threads_give_the_same_terms() -> None:
    texts = [f"rotating keys number{n} getUser{n}Name" for n in range(500)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(analyze, texts)) == [analyze(text) for text in texts]


@given(st.text(st.characters(max_codepoint=127)) | st.integers(250, 600).map("a".__mul__))
def test_words_of_ascii_are_those_of_the_pattern(text: str) -> None:
    assert tokens._written(text) == tokens._ASCII_WORD.findall(text)


@given(st.lists(st.sampled_from(["Keys", "key", "keyed", "getUserName", "user", "größe", "a"])))
def test_a_term_is_spelled_as_the_shortest_of_its_words(written: list[str]) -> None:
    own = words(" ".join(written))
    assert own == set(written)
    assert terms(own) == set(analyze(" ".join(written)))
    found = spelled(own, {"key", "user", "unknown"})
    plain = sorted({word.lower() for word in written} & {"key", "keys", "keyed"}, key=len)
    assert found.get("key") == (plain[0] if plain else None)
    assert found.get("user") == ("user" if {"user", "getUserName"} & own else None)
