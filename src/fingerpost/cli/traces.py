"""What was done for a query, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping

from fingerpost.cli import output
from fingerpost.records import Stage, Trace
from fingerpost.text.counts import counted

WIDTH = 84


def show(trace: Trace) -> None:
    """Tell the trace on stderr."""
    for line in lines(trace):
        output.note(line)
    output.note("")


def lines(trace: Trace) -> list[str]:
    """The query with its time and generation, a line a stage, and how far to believe the first result.

    >>> stages = (Stage("retrieve", 3.2, {"lexical": 88, "dense": 100}, "171 of 58,110 chunks"),)
    >>> lines(Trace("why?", 118, stages))[1]
    '  retrieve  lexical 88 · dense 100 → 171 of 58,110 chunks                             3.2 ms'
    """
    head = (
        f"{output.one_line(trace.query)[:WIDTH]:<{WIDTH}} {trace.ms:6.1f} ms   generation {trace.generation}"
    )
    sure = [] if trace.confidence is None else [f"  the first result is right: {trace.confidence:.0%}"]
    return [head, *(stage_line(stage) for stage in trace.stages), *sure]


def stage_line(stage: Stage) -> str:
    """Name, counts, note and milliseconds of one stage."""
    what = output.one_line(" → ".join(part for part in (_counted(stage.counts), stage.note) if part))
    return f"{f'  {stage.name:<9} {what}':<{WIDTH}} {stage.ms:6.1f} ms"


def _counted(counts: Mapping[str, float]) -> str:
    """Counts that are not 0, and what they amount to where the stage says so.

    >>> _counted({"lexical": 88, "memory": 0, "union": 171, "scored": 1104, "chunks": 58110})
    'lexical 88 → 171 of 58,110 chunks (1.9 % scored)'
    """
    total = {"union", "scored", "chunks"}
    each = " · ".join(
        f"{name} {output.number(n)}" for name, n in counts.items() if n and not (name in total <= set(counts))
    )
    if not total <= set(counts) or not counts["chunks"]:
        return each
    share = 100 * counts["scored"] / counts["chunks"]
    found = f"{output.number(counts['union'])} of {counted(int(counts['chunks']), 'chunk')}"
    return f"{each} → {found} ({share:.2g} % scored)" if share < 100 else f"{each} → {found} (all scored)"
