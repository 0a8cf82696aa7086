"""The report as Markdown, for a pull request or a wiki: the same figures without the pictures."""

from __future__ import annotations

import numpy as np

from fingerpost.evaluate import attribute, fidelity
from fingerpost.evaluate.calibration import Kept, Reliability, kept, reliability
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Freshness
from fingerpost.evaluate.page import Latency, Lost
from fingerpost.evaluate.report import Evaluation, layout, table
from fingerpost.text.counts import counted


def markdown(
    found: Evaluation,
    *,
    latency: Latency,
    lost: Lost | None = None,
    answers: Fidelity | None = None,
    freshness: Freshness | None = None,
) -> str:
    """The whole file as text. Questions and ids are not in it, so nothing in them can become markup."""
    parts = [
        ["# Search quality", table(found, markdown=True)],
        _calibrated(found),
        _routed(found),
        _times(latency),
        _causes(lost) if lost is not None else [],
        ["## Answers", *(f"- {line.strip()}" for line in fidelity.told(answers))] if answers else [],
        _fresh(freshness or {}),
    ]
    return "\n\n".join("\n".join([part[0], "", *part[1:]]) for part in parts if part) + "\n"


def _calibrated(found: Evaluation) -> list[str]:
    told = reliability(found.promised, found.right)
    if told is None:
        return []
    head = "## Chance that the first result is right, fitted on the other half of the questions"
    return [head, *_kept(told, "promised", "right")]


def _routed(found: Evaluation) -> list[str]:
    told = kept(*found.leaves.T)
    if told is None:
        return []
    columns = "chance of the likeliest leaf", "share of the ten nearest chunks there"
    return ["## Chances of the router", *_kept(told, *columns)]


def _kept(told: Kept | Reliability, promised: str, came: str) -> list[str]:
    """A table of what was promised and what came of it."""
    rows = [[promised, came, "questions"]]
    rows += [[f"{each.promised:.2f}", f"{each.right:.2f}", f"{each.count:,}"] for each in told.bins]
    return [*layout(rows, markdown=True), "", f"Expected calibration error {told.error:.3f}."]


def _times(latency: Latency) -> list[str]:
    whole = latency.whole()
    if not len(whole):
        return []
    columns = {**latency.stages, "whole search": whole}
    columns |= {f"{leg} alone": ms for leg, ms in latency.legs.items() if leg != "search"}
    rows = [["ms", "p50", "p95", "p99"]]
    for name, ms in columns.items():
        rows.append([name, *(f"{mark:.1f}" for mark in np.percentile(ms, [50, 95, 99]))])
    return [f"## Latency of {counted(len(whole), 'query')}", *layout(rows, markdown=True)]


def _fresh(found: Freshness) -> list[str]:
    names = ("changes", "waiting", "p50", "p95", "p99", "max")
    rows = [["", *names]]
    for step, told in found.items():
        if told["changes"] or told["waiting"]:
            rows.append([step, *("–" if told[name] is None else f"{told[name]:.3g}" for name in names)])
    return ["## Seconds from a change to", *layout(rows, markdown=True)] if len(rows) > 1 else []


def _causes(lost: Lost) -> list[str]:
    told = [f"- {line}" for line in attribute.told(lost.misses)]
    head = f"## Where {counted(len(lost.misses), 'miss was', 'misses were')} lost"
    return [head, *(told or [f"Every relevant document was among the first {lost.k}."])]
