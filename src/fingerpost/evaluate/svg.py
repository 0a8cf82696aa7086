"""Small drawings as inline SVG: intervals, bars, a waterfall. Colours are the page's, by class.

Every function returns one ``<svg>`` with a view box, so that it grows and shrinks with the page; numbers
stand beside the marks, so that nothing is told by colour or length alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 640
LABEL = 150
FIGURE = 110
ROW = 26


def drawing(parts: Sequence[str], *, height: int, title: str) -> str:
    """One picture of ``WIDTH`` times ``height`` units that says in words what it shows.

    >>> drawing([], height=9, title="a < b")
    '<svg viewBox="0 0 640 9" role="img" aria-label="a &lt; b"></svg>'
    """
    inner = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{inner}</svg>'


def text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    """Escaped words.

    >>> text(1, 2, "<b>")
    '<text x="1.0" y="2.0" text-anchor="start" class="">&lt;b&gt;</text>'
    """
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, *, style: str) -> str:
    """A filled rectangle, never narrower than a hair."""
    wide = max(width, 0.5)
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{height:.1f}" rx="2" class="{style}"/>'


def line(x1: float, y1: float, x2: float, y2: float, *, style: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def bars(rows: Sequence[tuple[str, float, str]], *, title: str) -> str:
    """Horizontal bars: label, length, figure; the longest fills the width.

    >>> bars([("routing", 2.0, "2")], title="causes").count("<rect")
    1
    """
    return waterfall([(name, 0.0, length, figure) for name, length, figure in rows], title=title)


def waterfall(rows: Sequence[tuple[str, float, float, str]], *, title: str) -> str:
    """Bars that each begin where the row says: label, beginning, length, figure.

    >>> waterfall([("route", 0.0, 1.0, "1 ms"), ("rerank", 1.0, 3.0, "3 ms")], title="ms").count("<rect")
    2
    """
    reach = max((begin + length for _, begin, length, _ in rows), default=0.0) or 1.0
    scale = (WIDTH - LABEL - FIGURE) / reach
    parts = []
    for at, (name, begin, length, figure) in enumerate(rows):
        y = at * ROW
        parts += [
            text(LABEL - 8, y + 17, name, anchor="end"),
            box(LABEL + begin * scale, y + 5, length * scale, ROW - 10, style="bar"),
            text(LABEL + (begin + length) * scale + 6, y + 17, figure, style="figure"),
        ]
    return drawing(parts, height=max(1, len(rows)) * ROW, title=title)


def intervals(rows: Sequence[tuple[str, float, float, float]], *, title: str) -> str:
    """Means between 0 and 1 with their bounds: label, mean, low, high.

    >>> intervals([("dense", 0.5, 0.4, 0.6)], title="nDCG@10").count("<circle")
    1
    """
    span = WIDTH - LABEL - FIGURE
    height = len(rows) * ROW + 20
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = LABEL + tick * span
        parts += [
            line(x, 0, x, height - 18, style="grid"),
            text(x, height - 4, f"{tick:g}", anchor="middle", style="tick"),
        ]
    for at, (name, mean, low, high) in enumerate(rows):
        y = at * ROW + ROW / 2
        parts += [
            text(LABEL - 8, y + 4, name, anchor="end"),
            line(LABEL + low * span, y, LABEL + high * span, y, style="whisker"),
            f'<circle cx="{LABEL + mean * span:.1f}" cy="{y:.1f}" r="5" class="bar"/>',
            text(WIDTH, y + 4, f"{mean:.3f}", anchor="end", style="figure"),
        ]
    return drawing(parts, height=height, title=title)


def histogram(counts: Sequence[int], *, title: str) -> str:
    """Columns over equal parts of 0 … 1, each with its count above.

    >>> histogram([3, 0, 1], title="nDCG@10").count("<rect")
    3
    """
    top, height = 20, 170
    tallest = max(counts, default=0) or 1
    wide = WIDTH / max(1, len(counts))
    parts = []
    for at, count in enumerate(counts):
        tall = (height - top - 24) * count / tallest
        x, y = at * wide, height - 24 - tall
        parts += [
            box(x + 2, y, wide - 4, tall, style="bar"),
            text(x + wide / 2, y - 5, f"{count:,}", anchor="middle", style="figure"),
            text(x, height - 8, f"{at / len(counts):.1f}", style="tick"),
        ]
    return drawing(parts, height=height, title=title)
