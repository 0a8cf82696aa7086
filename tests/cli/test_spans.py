"""Spans in a terminal: the highlighted words are the right ones, long text is cut, ids are shown safely."""

from __future__ import annotations

from fingerpost.cli.spans import lines, place
from fingerpost.records import Span


def _span(text: str, *highlights: tuple[int, int], doc_id: str = "a.md") -> Span:
    return Span(
        doc_id, "c", 0, len(text), text, 1.0, title="T", heading=("Keys", "Rotating"), highlights=highlights
    )


def test_highlights_are_bold() -> None:
    text = "Rotate the signing key twice."
    shown = lines(_span(text, (7, 10), (19, 22)))
    assert "Rotate \x1b[1;33mthe\x1b[0m signing \x1b[1;33mkey\x1b[0m twice." in shown
    assert "Keys › Rotating" in shown


def test_highlights_out_of_place_are_ignored() -> None:
    assert "\x1b[1;33m" not in lines(_span("short", (3, 99), (4, 2), (-1, 2)))


def test_long_text_is_cut_and_its_highlight_closed() -> None:
    shown = lines(_span("word " * 200, (0, 900)))
    assert shown.rstrip().endswith("…")
    assert shown.count("\x1b[1;33m") == 1
    assert "\x1b[0m" in shown.split("\x1b[1;33m")[1]


def test_a_hostile_document_cannot_paint() -> None:
    shown = lines(_span("\x1b[2Jgone \ue000mark", doc_id="x\x1b[31m\n.md"))
    assert "\x1b[2J" not in shown
    assert "\x1b[31m" not in shown
    assert "\\x1b[2Jgone" in shown
    assert place(_span("a", doc_id="x\n.md")) == "x\\x0a.md:0-1"
