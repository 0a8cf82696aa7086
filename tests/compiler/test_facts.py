"""Metadata as words: what is said, what is left out and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.compiler import mask
from fingerpost.compiler.chunk import split
from fingerpost.compiler.facts import MAX_PIECES, MAX_VALUE, facts
from fingerpost.compiler.tokens import Words
from fingerpost.config import Settings, parse
from fingerpost.records import Document, Value

DEFAULT = Settings()
TICKET: dict[str, Value] = {"status": "open", "component": "auth", "fixVersion": "2.3.1", "votes": 7}


def facts_of(metadata: dict[str, Value], *, title: str = "", settings: Settings = DEFAULT) -> str:
    return facts(Document("d", "Text", title, metadata), Words(), settings)


def test_each_chunk_says_the_facts_of_its_document() -> None:
    text = "\n\n".join(f"Paragraph {at} of a long ticket. " * 30 for at in range(6))
    chunks = split(Document("T-1", text, metadata=TICKET))
    assert len(chunks) > 1
    assert {chunk.facts for chunk in chunks} == {
        "status: open · component: auth · fixVersion: 2.3.1 · votes: 7"
    }
    for chunk in chunks:
        assert "2.3.1" in chunk.passage
        assert "2.3.1" in chunk.own
        assert "2.3.1" not in chunk.text
        assert len(Words().offsets(chunk.passage)) + 2 <= DEFAULT.compile.chunk_tokens


@pytest.mark.parametrize("off", ["metadata = false", "context = false"])
def test_it_can_be_turned_off(off: str) -> None:
    [chunk] = split(Document("T-1", "Text.", metadata=TICKET), settings=parse(f"[compile]\n{off}"))
    assert chunk.facts == ""


@pytest.mark.parametrize(
    "left_out",
    [
        {"labels": "hr, board"},
        {"ACL": "hr"},
        {"principals": "group:hr"},
        {"_rev": "8-af31"},
        {"path": "a/b.md"},
        {"modified": "2024-01-01"},
        {"url": "https://example.org/x"},
        {"resolved": True},
        {"notes": "word " * MAX_VALUE},
        {"blank": "  "},
        {"nothing": "–"},
    ],
)
def test_what_is_no_search_term_is_left_out(left_out: dict[str, Value]) -> None:
    assert facts_of({**left_out, "status": "open"}) == "status: open"


@pytest.mark.parametrize(
    "secret",
    [
        {"assignee": "jo@firm.org"},
        {"card": 4111111111111111},
        {"jo@firm.org": "reporter"},
        {"phone": "+49 30 901820"},
    ],
)
def test_what_masking_would_take_away_is_left_out(secret: dict[str, Value]) -> None:
    """Values of documents are masked before; numbers and names of values are not."""
    assert facts_of({**secret, "status": "open"}) == "status: open"
    unmasked = parse("[mask]\nenabled = false")
    assert facts_of({**secret, "status": "open"}, settings=unmasked) != "status: open", "the control"


def test_where_not_all_fit_the_shortest_are_kept_whole_and_in_their_order() -> None:
    rows: dict[str, Value] = {f"key{at}": " ".join("x" * 30) for at in range(5)}
    found = facts_of({"long": " ".join("y" * 60), **rows, "status": "open"})
    assert found.split(" · ") == [f"key0: {rows['key0']}", "status: open"]
    assert len(Words().offsets(found)) <= MAX_PIECES


def test_what_the_title_says_is_not_said_twice() -> None:
    title = "College 2: classroom"
    assert facts_of({"db": "college_2", "status": "open"}, title=title) == "status: open"
    assert facts_of({"db": "college_1"}, title=title) == "db: college_1"
    assert facts_of({"db": "lass"}, title=title) == "db: lass", "no part of a word"


@given(
    st.dictionaries(
        st.text(max_size=30), st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.booleans())
    )
)
def test_it_is_one_short_line_that_masking_leaves_as_it_is(metadata: dict[str, Value]) -> None:
    line = facts_of(metadata)
    assert len(Words().offsets(line)) <= MAX_PIECES
    assert not mask.findings(line, DEFAULT.mask.rules)
