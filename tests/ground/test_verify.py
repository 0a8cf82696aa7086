from __future__ import annotations

from dataclasses import replace

import pytest

from fingerpost.errors import NotFoundError
from fingerpost.ground.show import visible
from fingerpost.ground.verify import CODES, unsupported, verify
from fingerpost.records import Answer, Span, Statement

TEXT = "Signing keys rotate every 90 days. Old keys stay\n  valid for 30 days."
SPAN = Span("keys.md", "c", 35, len(TEXT), TEXT[35:], 1.0)
GOOD = Answer("?", (Statement("Old keys stay valid for 30 days.", (0,)),), (SPAN,))


def read(doc_id: str) -> str:
    if doc_id != "keys.md":
        raise NotFoundError("E_NOT_FOUND", f"no document '{doc_id}'", cure="-")
    return TEXT


def codes(answer: Answer) -> list[str]:
    return [finding.code for finding in verify(answer, read)]


def test_a_true_answer_has_no_faults() -> None:
    assert codes(GOOD) == []
    assert codes(Answer("?", (), (), refused=True, reason="no")) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"doc_id": "gone.md"}, "no_document"),
        ({"start": 34}, "not_verbatim"),
        ({"end": len(TEXT) + 1}, "bad_offsets"),
        ({"start": -3}, "bad_offsets"),
        ({"start": 50, "end": 50}, "bad_offsets"),
        ({"text": TEXT[35:].replace("30", "60")}, "not_verbatim"),
    ],
)
def test_a_citation_must_be_what_stands_there(change: dict[str, object], code: str) -> None:
    assert codes(replace(GOOD, citations=(replace(SPAN, **change),)))[0] == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (Statement("Old keys stay valid for 30 days.", ()), "uncited"),
        (Statement("Old keys stay valid for 30 days.", (1,)), "dangling"),
        (Statement("Old keys stay valid for 30 days.", (-1,)), "dangling"),
        (Statement("Cats are nice animals to have.", (0,)), "not_supported"),
    ],
)
def test_a_statement_must_rest_on_a_citation(statement: Statement, code: str) -> None:
    assert codes(replace(GOOD, statements=(statement,))) == [code]
    assert code in CODES


@pytest.mark.parametrize(
    "said",
    [
        "Old keys stay valid for 60 days.",
        "Old keys do not stay valid for 30 days.",
        'Old keys "stay valid for ever".',
        "Old keys stay valid for 30 days <script>alert(1)</script>.",
        "Old keys stay valid for 30 days ![x](http://evil.example/?q=1).",
        "Old keys stay valid, see https://evil.example.",
        "Old keys stay valid under --force for 30 days.",
        "",
    ],
)
def test_what_the_cited_text_does_not_carry_is_named(said: str) -> None:
    assert unsupported(said, [TEXT[35:]])


@pytest.mark.parametrize(
    "said",
    ["Old keys stay valid for 30 days.", "Keys stay valid 30 days.", 'It says "stay valid for 30 days".'],
)
def test_what_the_cited_text_carries_passes(said: str) -> None:
    assert unsupported(said, [TEXT[35:]]) == ""


@pytest.mark.parametrize(
    "mark", ["\x1b", "\u202e", "\u200b", "\ufeff", "\U000e0041", "\x9b", "\u2066", "\ud800", "\r"]
)
def test_what_could_deceive_a_terminal_is_written_out(mark: str) -> None:
    shown = visible(f"a{mark}b")
    assert mark not in shown
    assert shown.startswith("a\\")
    assert shown.isprintable()


def test_letters_of_every_script_stay_as_they_are() -> None:
    text = "naïve Ωmega 日本語 עברית 🙂 e\u0301\n\tcode"
    assert visible(text) == text
    assert visible("a\n\n b", one_line=True) == "a b"
