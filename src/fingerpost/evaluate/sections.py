"""Parts of the report: can scores be believed, what quality costs, where answers come from, how fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate import fidelity, plots, svg
from fingerpost.evaluate.calibration import Bin, kept, reliability
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Freshness
from fingerpost.evaluate.report import Evaluation
from fingerpost.text.counts import counted


def glance(found: Evaluation, whole: NDArray[np.float64], misses: int | None) -> str:
    """What a manager asks first: how good, how much better than words alone, how fast, what is lost."""
    means, bounds = found.means(), found.intervals()
    best = means.get("search")
    cards = []
    for measure in map(str, found.measures[:3]):
        value = best and best[measure]
        if value is None or (span := bounds["search"][measure]) is None:
            continue
        words = f"95 % {span[0]:.3f} – {span[1]:.3f}"
        if (base := means.get("lexical", {}).get(measure)) is not None:
            words += f"; BM25 alone {base:.3f}"
        cards.append((f"{value:.3f}", f"{measure} of search", words))
    if len(whole):
        p50, p95 = np.percentile(whole, [50, 95])
        cards.append((f"{p50:.0f} ms", "a search, median", f"95 of 100 within {p95:.0f} ms"))
    if misses is not None:
        cards.append((f"{misses:,}", "misses", "each with the stage that lost it"))
    rows = "".join(
        f"<div><b>{escape(figure)}</b>{escape(name)}<small>{escape(words)}</small></div>"
        for figure, name, words in cards
    )
    return f'<div class="cards">{rows}</div>' if rows else ""


def calibrated(found: Evaluation) -> str:
    """The reliability diagram of the first result's score; nothing where there are too few questions."""
    if not len(found.promised):
        return ""
    told = reliability(found.promised, found.right)
    head = "<h2>Can a score be believed?</h2>"
    if told is None:
        return f'{head}<p class="soft">Too few questions, or all alike, to tell.</p>'
    words = (
        f"Scores are no probabilities. {told.fitted:,} of the questions, drawn at random, fitted a sigmoid "
        "from the score of the first result to the chance that it is relevant; the others are shown, in "
        "groups of about the same promise with 95 % intervals. On the dashed line a promise is kept. "
        f"Expected calibration error {told.error:.3f}; Brier score {told.brier:.3f}, against {told.base:.3f} "
        "for always promising the mean."
    )
    picture = _diagram(told.bins, "promised chance and share that was right")
    return f'{head}<p class="soft">{words}</p>{picture}'


def routed(found: Evaluation) -> str:
    """The reliability diagram of the router's likeliest leaf; nothing where there are too few questions."""
    told = kept(*found.leaves.T)
    if told is None:
        return ""
    words = (
        f"For {sum(each.count for each in told.bins):,} of the questions, evenly drawn: the chance that the "
        "router gives its likeliest leaf, and the share of the ten nearest chunks that lie there, in groups "
        f"of about the same chance. Expected calibration error {told.error:.3f}; <code>learn</code> "
        "calibrates it."
    )
    picture = _diagram(told.bins, "chance of the likeliest leaf and what lies there")
    return f'<h2>Can a leaf\'s chance be believed?</h2><p class="soft">{words}</p>{picture}'


def _diagram(bins: Sequence[Bin], title: str) -> str:
    points = [(each.promised, each.right, each.low, each.high) for each in bins]
    return plots.reliability(points, title=title)


def costs(found: Evaluation, legs: Mapping[str, NDArray[np.float64]]) -> str:
    """Quality against milliseconds for each leg that was timed."""
    means = found.means()
    name = str(found.measures[0])
    points = [
        (leg, float(np.median(ms)), value)
        for leg, ms in legs.items()
        if len(ms) and leg in means and (value := means[leg][name]) is not None
    ]
    if len(points) < 2:
        return ""
    words = (
        f"{escape(name)} over the median milliseconds of a query, the encoder's included, one after the "
        "other on this machine. Whatever is not on the dashed line is equalled by something cheaper."
    )
    picture = plots.frontier(points, title=f"{name} and cost of each leg", measure=name)
    return f'<h2>What quality costs</h2><p class="soft">{words}</p>{picture}'


def answered(found: Fidelity) -> str:
    """Whether answers come from their evidence."""
    shares = found.shares()
    rows = [(name, share, f"{share:.1%}") for name, share in shares.items() if share is not None]
    told = "".join(f"<li>{escape(line.strip())}</li>" for line in fidelity.told(found))
    picture = svg.bars(rows, title="shares of statements, answers and questions")
    return f"<h2>Do answers come from their evidence?</h2>{picture}<ol>{told}</ol>"


def fresh(found: Freshness) -> str:
    """How long a change took to each step: percentiles, and a histogram in seconds."""
    parts = []
    for step, told in found.items():
        spread, changes = told.get("histogram"), told.get("changes")
        if not isinstance(spread, Mapping) or not isinstance(changes, int) or not changes:
            continue
        marks = " · ".join(f"{mark} {told[mark]:.3g} s" for mark in ("p50", "p95", "p99"))
        edges = [f"< {edge:g} s" for edge in spread["below"]] + ["longer"]
        rows = [
            (label, float(count), f"{count:,}")
            for label, count in zip(edges, spread["counts"], strict=True)
            if count
        ]
        waiting = f" · {told['waiting']} waiting" if told.get("waiting") else ""
        said = counted(changes, "change")
        parts.append(
            f'<p>{escape(step)}: <span class="soft">{said} · {marks}{waiting}</span></p>'
            f"{svg.bars(rows, title=f'seconds until {step}')}"
        )
    return f"<h2>Fresh</h2>{''.join(parts)}" if parts else ""
