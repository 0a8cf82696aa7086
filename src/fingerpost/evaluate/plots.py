"""Two plots over a square of axes: promises against what came of them, and quality against cost.

Like ``svg``, which they draw with: colours are the page's, numbers stand beside the marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from fingerpost.evaluate.svg import WIDTH, drawing, line, text

LEFT, RIGHT, TOP, HEIGHT, FOOT = 70, 20, 30, 330, 46
APART = 24
"""Between two labels, one above the other: the largest letters that the page uses."""


def reliability(points: Sequence[tuple[float, float, float, float]], *, title: str) -> str:
    """Promised against right, both 0 … 1, with the interval of what was right: promised, right, low, high. On
    the diagonal a promise is kept.

    >>> reliability([(0.5, 0.6, 0.4, 0.8)], title="kept?").count("<circle")
    1
    """
    quarters = [(at / 4, f"{at / 4:g}") for at in range(5)]
    parts = [
        *_grid(quarters, quarters, names=("promised", "right")),
        line(_x(0), _y(0), _x(1), _y(1), style="ideal"),
    ]
    for promised, right, low, high in points:
        parts += [line(_x(promised), _y(low), _x(promised), _y(high), style="thin"), _dot(promised, right)]
    return drawing(parts, height=HEIGHT + FOOT, title=title)


def frontier(points: Sequence[tuple[str, float, float]], *, title: str, measure: str) -> str:
    """Quality over the logarithm of cost: name, milliseconds, value 0 … 1. A line joins those that nothing
    cheaper equals.

    >>> frontier([("lexical", 1.0, 0.6), ("slow", 9.0, 0.5)], title="?", measure="nDCG@10").count("<circle")
    2
    """
    cost = [math.log10(max(ms, 1e-3)) for _, ms, _ in points]
    values = [value for *_, value in points]
    low, high = math.floor(min(cost, default=0.0)), math.ceil(max(cost, default=1.0))
    least, most = math.floor(10 * min(values, default=0.0)), math.ceil(10 * max(values, default=1.0))
    wide, tall = max(1, high - low), max(1, most - least)
    places = [((x - low) / wide, (10 * value - least) / tall) for x, value in zip(cost, values, strict=True)]
    columns = [(at / wide, f"{10.0 ** (low + at):g} ms") for at in range(wide + 1)]
    rows = [(at / tall, f"{(least + at) / 10:g}") for at in range(tall + 1)]
    parts = _grid(columns, rows, names=("", measure))
    parts += [line(_x(a[0]), _y(a[1]), _x(b[0]), _y(b[1]), style="ideal") for a, b in pairwise(best(places))]
    for (x, y), at, (name, ms, value) in zip(places, _labels(places), points, strict=True):
        side, shift = ("end", -12) if x > 0.5 else ("start", 12)
        words = f"{name} {value:.3f} · {ms:.1f} ms"
        parts += [_dot(x, y), text(_x(x) + shift, at, words, anchor=side, style="figure")]
    return drawing(parts, height=HEIGHT + FOOT, title=title)


def best(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that nothing cheaper equals, by cost.

    >>> best([(2.0, 0.5), (1.0, 0.6), (3.0, 0.7)])
    [(1.0, 0.6), (3.0, 0.7)]
    """
    kept: list[tuple[float, float]] = []
    for cost, value in sorted(places, key=lambda place: (place[0], -place[1])):
        if not kept or value > kept[-1][1]:
            kept.append((cost, value))
    return kept


def _labels(places: Sequence[tuple[float, float]]) -> list[float]:
    """Where the label of each point stands, beside it, or lower where another one is there already."""
    found = [0.0] * len(places)
    last = {True: -math.inf, False: -math.inf}
    for at in sorted(range(len(places)), key=lambda at: -places[at][1]):
        x, y = places[at]
        found[at] = max(_y(y) + 5, last[x > 0.5] + APART)
        last[x > 0.5] = found[at]
    return found


Tick = tuple[float, str]


def _grid(columns: Sequence[Tick], rows: Sequence[Tick], *, names: tuple[str, str]) -> list[str]:
    """Lines with their figures, and what runs along and up."""
    parts = [
        text(_x(0.5), HEIGHT + FOOT - 6, names[0], anchor="middle", style="tick"),
        text(0, 14, names[1], style="tick"),
    ]
    for at, figure in rows:
        parts.append(line(_x(0), _y(at), _x(1), _y(at), style="grid"))
        parts.append(text(LEFT - 8, _y(at) + 4, figure, anchor="end", style="tick"))
    for at, figure in columns:
        parts.append(line(_x(at), _y(0), _x(at), _y(1), style="grid"))
        anchor = "end" if at == 1 else "start" if at == 0 else "middle"
        parts.append(text(_x(at), HEIGHT + 18, figure, anchor=anchor, style="tick"))
    return parts


def _x(part: float) -> float:
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def _y(part: float) -> float:
    return HEIGHT - part * (HEIGHT - TOP)


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="5" class="bar"/>'
