"""Laws of chunks, for any text, outline and limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from fingerpost.compiler import chunk
from fingerpost.compiler.tokens import Words
from fingerpost.config import CompileSettings, Settings
from fingerpost.records import Document, Section

WORDS = st.sampled_from(
    ["word", "Long sentence ends here. ", "\n\n", "\n", " ", "é", "a" * 90, "x.y.z", "\t", "One? ", "한국어 "]
)
TEXTS = st.lists(WORDS | st.text(max_size=5), max_size=120).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Any text, with any sections, well nested or not."""
    text = draw(TEXTS)
    place = st.integers(0, len(text))
    rows = draw(st.lists(st.tuples(place, place, st.integers(1, 6), st.sampled_from("ABC")), max_size=8))
    sections = tuple(Section(min(a, b), max(a, b), title * 3, level) for a, b, level, title in rows)
    return Document("d", text, title=draw(st.sampled_from(["", "Title", "t " * 90])), sections=sections)


@given(documents(), st.sampled_from([32, 48, 256]), st.sampled_from([1, 16, 48]))
def test_laws(document: Document, tokens: int, least: int) -> None:
    settings = Settings(compile=CompileSettings(chunk_tokens=tokens, min_chunk_tokens=least))
    pieces = chunk.split(document, settings=settings)
    at = 0
    for number, piece in enumerate(pieces):
        assert piece.ordinal == number
        assert document.text[piece.start : piece.end] == piece.text
        assert piece.text.strip() == piece.text != ""
        assert not document.text[at : piece.start].strip(), "nothing but white space between chunks"
        at = piece.end
        assert len(Words().offsets(piece.passage)) + chunk.MARKS <= tokens
    assert not document.text[at:].strip()
    assert len({piece.chunk_id for piece in pieces}) == len(pieces)
    assert pieces == chunk.split(document, settings=settings)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2_000_000,
        "a." * 300_000,
        ' "' * 20 + "A" * 1_000_000,
        "\n" * 2_000_000,
        "word " * 200_000,
        "e\u0301" * 300_000,
    ],
)
def test_linear_time(text: str) -> None:
    assert_linear(lambda size: chunk.split(Document("d", text[:size])), len(text))
