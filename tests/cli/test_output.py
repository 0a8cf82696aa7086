"""Text of documents cannot act on a terminal, and JSON keeps every value."""

from __future__ import annotations

import json
import unicodedata
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.cli import output
from fingerpost.records import Answer, Span, Statement

HOSTILE = [
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\r",
    "\x00",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\u200d",
    "\ud800",
    "\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_acts_on_the_terminal(text: str) -> None:
    for shown in (output.visible(f"a{text}b"), output.label(text), output.as_json({"text": text})):
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in shown)


@given(st.text(st.characters(exclude_categories=())))
def test_json_gives_back_every_text(text: str) -> None:
    line = output.as_json({"text": text})
    assert json.loads(line) == {"text": text}
    assert "\n" not in line
    line.encode()


@given(st.text(st.characters(exclude_categories=())))
def test_labels_stay_on_one_line_and_can_be_encoded(text: str) -> None:
    shown = output.label(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_records_become_plain_values() -> None:
    span = Span(
        "a", "c", 0, 4, "text", np.float32(0.5), parts=MappingProxyType({"dense": np.nan}), heading=("H",)
    )
    value = json.loads(output.as_json(span))
    assert value["score"] == 0.5
    assert value["parts"] == {"dense": None}
    assert value["heading"] == ["H"]


def test_an_answer_keeps_its_statements() -> None:
    answer = Answer("q?", (Statement("Yes.", (0,)),), (Span("a", "c", 0, 4, "Yes.", 1.0),))
    assert json.loads(output.as_json(answer))["statements"] == [{"text": "Yes.", "citations": [0]}]
