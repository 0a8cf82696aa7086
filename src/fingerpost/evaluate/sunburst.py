"""A sunburst: rings of sectors around a hole, the outer ring dividing each sector of the inner one.

Like ``svg``, which it draws with: colours are the page's, by class, and every count stands in the legend too,
so that nothing is told by colour or angle alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from fingerpost.evaluate.svg import WIDTH, drawing, text

SIZE = 300
CENTRE, HOLE, MIDDLE, RIM = SIZE / 2, 58.0, 112.0, 142.0
LEGEND, ROW = 330, 44
NAMED = 0.06
"""The least share of the circle in which a count can be read."""


@dataclass(frozen=True, slots=True)
class Sector:
    """A part of the whole: its name, the class that colours it, the counts of its parts (part → count), a few
    words on it, and where on the page it leads (an id).
    """

    name: str
    style: str
    parts: Mapping[str, int]
    words: str = ""
    leads: str = ""

    @property
    def count(self) -> int:
        """All of its parts."""
        return sum(self.parts.values())


def sunburst(sectors: Sequence[Sector], *, title: str, middle: str) -> str:
    """The picture with its legend; sectors without a count are left out.

    >>> drawn = sunburst([Sector("routing", "c3", {"seen": 2, "new": 1})], title="t", middle="misses")
    >>> drawn.count("<path")
    3
    """
    shown = [sector for sector in sectors if sector.count]
    whole = sum(sector.count for sector in shown)
    parts = [
        text(CENTRE, CENTRE + 2, f"{whole:,}", anchor="middle", style="big"),
        text(CENTRE, CENTRE + 24, middle, anchor="middle", style="tick"),
    ]
    begin = 0.0
    for at, sector in enumerate(shown):
        parts.append(_linked(sector, _sector(sector, begin, whole)))
        parts.append(_linked(sector, _legend(sector, at, len(shown), whole)))
        begin += sector.count / whole
    return drawing(parts, height=max(SIZE, len(shown) * ROW + 20), title=title)


def _sector(sector: Sector, begin: float, whole: int) -> str:
    """The inner piece, its count, and its parts on the outer ring, each named when it is pointed at."""
    share = sector.count / whole
    drawn = [_piece(begin, share, HOLE, MIDDLE, sector.style, f"{sector.name}: {sector.count:,}")]
    at = begin
    divided = sum(count > 0 for count in sector.parts.values()) > 1 or any(sector.parts)
    for number, (name, count) in enumerate(sector.parts.items()):
        if count and divided:
            style = f"{sector.style} part{number}"
            told = f"{sector.name}, {name}: {count:,}"
            drawn.append(_piece(at, count / whole, MIDDLE + 2, RIM, style, told))
        at += count / whole
    if share >= NAMED:
        x, y = _point(begin + share / 2, (HOLE + MIDDLE) / 2)
        drawn.append(text(x, y + 5, f"{sector.count:,}", anchor="middle", style="on"))
    return "".join(drawn)


def _legend(sector: Sector, at: int, rows: int, whole: int) -> str:
    y = max(SIZE, rows * ROW + 20) / 2 - rows * ROW / 2 + at * ROW
    return (
        f'<rect x="{LEGEND}" y="{y + 7:.1f}" width="14" height="14" rx="3" class="{sector.style}"/>'
        + text(LEGEND + 24, y + 19, sector.name)
        + text(LEGEND + 24, y + 36, sector.words, style="tick")
        + text(WIDTH, y + 19, f"{sector.count:,} · {sector.count / whole:.0%}", anchor="end", style="figure")
    )


def _linked(sector: Sector, drawn: str) -> str:
    return f'<a href="#{escape(sector.leads)}">{drawn}</a>' if sector.leads else drawn


def _piece(begin: float, share: float, inner: float, outer: float, style: str, told: str) -> str:
    """A piece of a ring; begin and share in turns, clockwise from the top."""
    share = min(share, 0.9999)  # an arc that ends where it begins is not drawn
    large = int(share > 0.5)
    corners = [
        _point(turn, radius)
        for radius, turn in ((outer, begin), (outer, begin + share), (inner, begin + share), (inner, begin))
    ]
    a, b, c, d = (f"{x:.2f} {y:.2f}" for x, y in corners)
    path = f"M{a}A{outer} {outer} 0 {large} 1 {b}L{c}A{inner} {inner} 0 {large} 0 {d}Z"
    return f'<path d="{path}" class="{style} sector"><title>{escape(told)}</title></path>'


def _point(turn: float, radius: float) -> tuple[float, float]:
    """
    >>> _point(0.25, 10.0)
    (160.0, 150.0)
    """
    angle = 2 * math.pi * turn
    x, y = CENTRE + radius * math.sin(angle), CENTRE - radius * math.cos(angle)
    return round(x, 6), round(y, 6)
