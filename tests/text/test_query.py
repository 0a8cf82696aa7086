"""Hostile queries: rows Q01–Q11, Q25–Q35 of the list of hostile inputs that concern a query's text."""

from __future__ import annotations

import unicodedata
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.errors import UsageError
from fingerpost.text.query import MAX_CHARS, MAX_TERMS, parse
from fingerpost.text.tokens import analyze, fold


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.cure
    assert caught.value.http_status == 400
    return caught.value.code


@pytest.mark.parametrize("text", ["", " \t\r\n ", "\u200b\u202e\ufeff", "\x07\x1b"])
def test_a_query_without_text_is_refused(text: str) -> None:
    assert refusal(text) == "E_EMPTY_QUERY"


@pytest.mark.parametrize("text", ["to be or not to be, that is it", "... !?", "(((((", "👩‍💻"])
def test_a_query_without_terms_keeps_its_text(text: str) -> None:
    query = parse(text)
    assert query.text == text.replace("\u200d", "")
    assert query.terms == ()


@pytest.mark.parametrize("text", ["a" * 1_000_000, "word " * 250_000, "é" * 300_000, "(" * 50_000])
def test_a_query_of_a_megabyte_is_refused(text: str) -> None:
    assert refusal(text) == "E_TOO_LONG"


def test_the_refusal_gives_both_numbers() -> None:
    with pytest.raises(UsageError, match=r"33,000 characters, more than 32,768"):
        parse("a" * 33_000)


def test_length_is_allowed_to_the_last_character() -> None:
    assert parse("a" * MAX_CHARS).terms
    assert refusal("a" * (MAX_CHARS + 1)) == "E_TOO_LONG"


def test_ten_thousand_terms_are_refused() -> None:
    assert refusal(" ".join(f"{n}" for n in range(6_000))) == "E_TOO_MANY_TERMS"
    assert len(parse(" ".join(f"x{n}" for n in range(MAX_TERMS))).terms) == MAX_TERMS


def test_a_repeated_term_counts_once() -> None:
    assert parse("key " * 8_000).terms == parse("key").terms == ("key",)
    assert refusal("key " * 100_000) == "E_TOO_LONG"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30_000,
        " OR ".join(["k"] * 5_000),
        "*a* ? a*b*c*",
        "a*",
        "(a+)+$" + "a" * 26,
        "key~100",
        '"signing key"~2147483648',
        "key^1e308 key^-1 key^NaN",
        "__proto__:x ../../etc/passwd $where",
        '" OR 1=1 -- NEAR(a b) col:*',
        'an "unbalanced quote',
        "secret_field:value AND NOT (x)",
        "/regex.*/ [a TO z] {1 TO 5} +must -mustnot && || !",
    ],
)
def test_operators_are_text(text: str) -> None:
    query = parse(text)
    assert query.text == text
    assert query.terms == tuple(dict.fromkeys(analyze(text)))


def test_boolean_words_are_words_like_any_other() -> None:
    assert parse("cats AND dogs").terms == parse("cats and dogs").terms == ("cat", "dog")


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "half \ud800 pair", "\udfff"])
def test_what_is_not_text_is_refused(text: str) -> None:
    assert refusal(text) == "E_ENCODING"


@pytest.mark.parametrize(
    ("hostile", "clean"),
    [
        ("sign\u200bing \u202ekey\u202c", "signing key"),
        ("sig\u00adning k\u2060ey\ufeff", "signing key"),
        ("signing\x1bkey", "signing key"),
        ("E\u200d4012", "E4012"),
    ],
)
def test_invisible_characters_change_nothing(hostile: str, clean: str) -> None:
    assert parse(hostile) == parse(clean)


@pytest.mark.parametrize("word", ["Überprüfung", "café", "naïveté", "Ångström", "पानी", "한국어", "ế"])
def test_composed_and_decomposed_words_are_one_query(word: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)
    assert parse(composed) == parse(decomposed)
    assert analyze(composed) == analyze(decomposed) != []


def test_digits_of_every_script_are_digits() -> None:
    assert parse("Ｅ４０１２").terms == parse("E4012").terms
    assert parse("٤٠١٢ ४०१२").terms == ("4012",)


def test_homoglyphs_are_other_words() -> None:
    assert parse("аdmin").terms != parse("admin").terms  # Cyrillic а


def test_ten_thousand_joined_emoji_are_a_query() -> None:
    assert parse("👨‍👩‍👧" * 10_000).terms == ()


def test_languages_without_spaces_become_pairs_of_characters() -> None:
    assert parse("東京都").terms == ("東京", "京都")
    assert set(parse("京都").terms) <= set(analyze("東京都に行く"))
    assert refusal("東京都に行く" * 6_000) == "E_TOO_LONG"
    assert parse("東京都に行く" * 5_000).terms


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    "text", ["ıIİi", "STRASSE straße ẞ", "ǅ ﬁ ſ Σςσ", "\u0345\u0390", "ϓ\u0308", "Ⅷ ½ ℌ"]
)
def test_folding_known_hard_cases(text: str) -> None:
    assert fold(fold(text)) == fold(text) == fold(text.swapcase()) or "ı" in text


@given(st.text(max_size=200))
def test_any_text_is_a_query_or_a_named_refusal(text: str) -> None:
    code = "E_ENCODING" if _broken(text) else "E_EMPTY_QUERY"
    with pytest.raises(UsageError, match=code) if _broken(text) or _invisible(text) else nullcontext():
        assert parse(parse(text).text) == parse(text)


def _broken(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text)


def _invisible(text: str) -> bool:
    hidden = {*map(chr, range(0x7F, 0xA0)), "\u00ad", "\u034f", "\u061c", "\u180e", "\ufeff"}
    hidden |= {
        *map(chr, [*range(1, 32), *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)])
    }
    return all(char in hidden or char.isspace() for char in text)
