"""Chunks follow the structure, balance long stretches, and keep their names."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerpost.compiler import chunk
from fingerpost.compiler.formats import Source, parse
from fingerpost.compiler.tokens import Words
from fingerpost.config import CompileSettings, Settings
from fingerpost.records import Chunk, Document, Section


def settings(tokens: int = 64, least: int = 16) -> Settings:
    return Settings(compile=CompileSettings(chunk_tokens=tokens, min_chunk_tokens=least))


def markdown(text: str) -> Document:
    (item,) = parse(Source(text.encode(), "a.md"))
    assert isinstance(item, Document)
    return item


def size(piece: Chunk) -> int:
    return len(Words().offsets(piece.passage)) + chunk.MARKS


WORDS = "The quick brown fox jumps over the lazy dog by the river. "


def test_a_short_document_is_one_chunk() -> None:
    document = Document("d", WORDS * 4, title="A title")
    (piece,) = chunk.split(document, settings=settings())
    assert piece.text == document.text.strip()
    assert piece.title == "A title"


def test_a_long_stretch_is_cut_into_equal_pieces_at_sentences() -> None:
    pieces = chunk.split(Document("d", WORDS * 30), settings=settings())
    sizes = [size(piece) for piece in pieces]
    assert max(sizes) <= 64
    assert min(sizes) >= 0.6 * max(sizes)
    assert all(piece.text.endswith("river.") for piece in pieces)


def test_paragraphs_come_before_sentences() -> None:
    text = "\n\n".join([WORDS * 2] * 6)
    pieces = chunk.split(Document("d", text), settings=settings(tokens=80))
    assert [piece.text.count("\n\n") for piece in pieces] == [2, 2]


def test_sections_are_not_mixed_when_they_are_long_enough() -> None:
    document = markdown(f"# A\n{WORDS * 3}\n## B\n{WORDS * 3}\n# C\n{WORDS * 3}\n")
    pieces = chunk.split(document, settings=settings())
    assert [piece.heading for piece in pieces] == [("A",), ("A", "B"), ("C",)]


def test_small_siblings_share_a_chunk_under_their_common_heading() -> None:
    document = markdown("# API\n" + "".join(f"## f{n}\nDoes thing number {n}.\n" for n in range(4)))
    pieces = chunk.split(document, settings=settings(tokens=128, least=32))
    assert len(pieces) == 1
    assert pieces[0].heading == ("API",)


def test_a_bare_heading_leads_its_first_section() -> None:
    document = markdown(f"# Book\n\n## One\n{WORDS * 8}\n")
    pieces = chunk.split(document, settings=settings())
    assert pieces[0].text.startswith("# Book\n\n## One")
    assert {piece.heading for piece in pieces} == {("Book", "One")}


def test_ids_survive_edits_elsewhere() -> None:
    before = markdown(f"# A\nFirst. {WORDS * 3}\n# B\n{WORDS * 9}\n# C\nLast. {WORDS * 3}\n")
    after = markdown(
        f"# A\nFirst. {WORDS * 3}\n# New\n{WORDS * 5}\n# B\nLess. {WORDS * 2}\n# C\nLast. {WORDS * 3}\n"
    )
    old = {piece.text: piece.chunk_id for piece in chunk.split(before, settings=settings())}
    new = {piece.text: piece.chunk_id for piece in chunk.split(after, settings=settings())}
    kept = [text for text in old if "First." in text or "Last." in text]
    assert len(kept) == 2
    assert all(old[text] == new[text] for text in kept)


def test_equal_headings_get_different_ids() -> None:
    document = markdown("".join(f"# Same\n{WORDS * 3}\n" for _ in range(5)))
    pieces = chunk.split(document, settings=settings())
    assert len({piece.chunk_id for piece in pieces}) == 5


def test_endless_titles_are_bounded() -> None:
    document = Document(
        "d",
        WORDS * 20,
        title="word " * 500,
        sections=(Section(0, 900, "head " * 300, 1), Section(0, 400, "x", 2)),
    )
    for piece in chunk.split(document, settings=settings(tokens=128)):
        assert len(Words().offsets(piece.context)) <= 32
        assert size(piece) <= 128


def test_without_context_titles_stay_out() -> None:
    off = Settings(compile=CompileSettings(context=False))
    (piece,) = chunk.split(Document("d", "text", title="T"), settings=off)
    assert piece.passage == "text"


def test_code_is_cut_at_symbols_then_lines() -> None:
    body = "".join(f"    value_{n} = compute({n})\n" for n in range(40))
    (document,) = parse(Source(f"def a():\n{body}\ndef b():\n{body}".encode(), "m.py"))
    assert isinstance(document, Document)
    pieces = chunk.split(document, settings=settings())
    assert {piece.heading for piece in pieces} == {("a",), ("b",)}
    assert pieces[0].passage.startswith("m.py › a\ndef a():")
    assert all(piece.text.endswith(")") for piece in pieces)


class _Unknown:
    """A counter that, like WordPiece, sees a word of over 100 letters as a single unknown token."""

    calls = 0

    def offsets(self, text: str) -> NDArray[np.int32]:
        self.calls += 1
        return Words().offsets(text)


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "a." * 50_000, "é" * 9_999, "x" * 300 + " y" * 300, "\n" * 9_999 + "z"],
)
def test_giants_are_cut_and_nothing_is_lost(text: str) -> None:
    pieces = chunk.split(Document("d", text), settings=settings())
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(text.split())
    assert all(len(piece.text) <= 200 for piece in pieces)


def test_the_counter_is_called_once_a_document_and_once_a_heading() -> None:
    counter = _Unknown()
    document = markdown("".join(f"# H{n}\n{WORDS * 20}\n" for n in range(5)))
    pieces = chunk.split(document, count=counter, settings=settings())
    assert len(pieces) > 20
    assert counter.calls <= 1 + 3 * 5


def test_an_empty_document_has_no_chunks() -> None:
    assert chunk.split(Document("d", " \n\t ")) == []
