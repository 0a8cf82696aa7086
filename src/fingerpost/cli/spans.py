"""A span of evidence as people read it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import typer

from fingerpost.cli import output
from fingerpost.records import Span

MAX_CHARS = 400
_MARK, _END = "\ue000", "\ue001"  # private use: stand in for the highlight until the text is wrapped


def place(span: Span) -> str:
    """Where a span stands: doc_id:start-end.

    >>> place(Span("guide.md", "c", 3, 9, "text", 1.0))
    'guide.md:3-9'
    """
    return f"{output.label(span.doc_id)}:{span.start}-{span.end}"


def lines(span: Span) -> str:
    """Score, place and heading on the first line; the text, query words in bold, beneath."""
    heading = output.one_line(" › ".join(part for part in span.heading if part) or span.title)
    head = f"{span.score:8.3f}  {typer.style(place(span), bold=True)}  {heading}".rstrip()
    text = _painted(_shortened(marked(span.text, span.highlights)))
    return f"{head}\n{text}\n"


def marked(text: str, highlights: Sequence[tuple[int, int]]) -> str:
    """Text with private-use marks around its highlights."""
    clean = text.replace(_MARK, " ").replace(_END, " ")
    for start, end in sorted(highlights, reverse=True):
        if 0 <= start < end <= len(clean):
            clean = f"{clean[:start]}{_MARK}{clean[start:end]}{_END}{clean[end:]}"
    return output.one_line(clean)


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    cut = text[:MAX_CHARS].rsplit(" ", 1)[0]
    return cut + (_END if cut.count(_MARK) > cut.count(_END) else "") + " …"


def _painted(text: str) -> str:
    wrapped = textwrap.fill(
        text, 100, initial_indent=" " * 10, subsequent_indent=" " * 10, break_on_hyphens=False
    )
    return wrapped.replace(_MARK, "\x1b[1;33m").replace(_END, "\x1b[0m")
