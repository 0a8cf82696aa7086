"""Two plots over a square of axes: promises against what came of them, and quality against cost.

Like ``svg``, which they draw with: colours are the page's, numbers stand beside the marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from fingerpost.evaluate.svg import WIDTH, drawing, line, text

LEFT, RIGHT, TOP, HEIGHT, FOOT = 70, 20, 14, 320, 46


def reliability(points: Sequence[tuple[float, float, float, float]], *, title: str) -> str:
    """Promised against right, both 0 … 1, with the interval of what was right: promised, right, low, high. On
    the diagonal a promise is kept.

    >>> reliability([(0.5, 0.6, 0.4, 0.8)], title="kept?").count("<circle")
    1
    """
    parts = [*_grid([0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1])]
    parts += [
        line(_x(0), _y(0), _x(1), _y(1), style="ideal"),
        text(_x(0.5), HEIGHT + FOOT - 8, "promised", anchor="middle", style="tick"),
        text(LEFT, TOP - 2, "right", anchor="end", style="tick"),
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
    low, high = math.floor(min(cost, default=0.0)), math.ceil(max(cost, default=1.0))
    span = max(1, high - low)
    places = [((at - low) / span, value) for at, (_, _, value) in zip(cost, points, strict=True)]
    parts = [*_grid([at / span for at in range(span + 1)], [0, 0.25, 0.5, 0.75, 1], ticks=False)]
    for at in range(span + 1):
        words = f"{10.0 ** (low + at):g} ms"
        parts.append(text(_x(at / span), HEIGHT + 16, words, anchor="middle", style="tick"))
    parts.append(text(LEFT, TOP - 2, measure, anchor="end", style="tick"))
    kept = best(places)
    parts += [line(_x(a[0]), _y(a[1]), _x(b[0]), _y(b[1]), style="ideal") for a, b in pairwise(kept)]
    for (x, y), (name, ms, value) in zip(places, points, strict=True):
        side = "end" if x > 0.6 else "start"
        shift = -10 if side == "end" else 10
        words = f"{name} {value:.3f} · {ms:.1f} ms"
        parts += [_dot(x, y), text(_x(x) + shift, _y(y) - 8, words, anchor=side, style="figure")]
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


def _grid(columns: Sequence[float], rows: Sequence[float], *, ticks: bool = True) -> list[str]:
    parts = []
    for at in rows:
        parts += [
            line(_x(0), _y(at), _x(1), _y(at), style="grid"),
            text(LEFT - 8, _y(at) + 4, f"{at:g}", anchor="end", style="tick"),
        ]
    for at in columns:
        parts.append(line(_x(at), _y(0), _x(at), _y(1), style="grid"))
        if ticks:
            parts.append(text(_x(at), HEIGHT + 16, f"{at:g}", anchor="middle", style="tick"))
    return parts


def _x(part: float) -> float:
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def _y(part: float) -> float:
    return HEIGHT - part * (HEIGHT - TOP)


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="5" class="bar"/>'
