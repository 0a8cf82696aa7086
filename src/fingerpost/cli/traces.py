"""What was done for a query, stage by stage."""

from __future__ import annotations

from fingerpost.cli import output
from fingerpost.records import Stage, Trace

WIDTH = 78


def show(trace: Trace) -> None:
    """Tell the trace on stderr."""
    for line in lines(trace):
        output.note(line)
    output.note("")


def lines(trace: Trace) -> list[str]:
    """The query with its time and generation, then a line a stage.

    >>> stages = (Stage("retrieve", 3.2, {"lexical": 88, "dense": 100}, "171 of 58,110 chunks"),)
    >>> lines(Trace("why?", 118, stages))[1]
    '  retrieve  lexical 88 · dense 100 → 171 of 58,110 chunks                       3.2 ms'
    """
    head = (
        f"{output.one_line(trace.query)[:WIDTH]:<{WIDTH}} {trace.ms:6.1f} ms   generation {trace.generation}"
    )
    return [head, *(stage_line(stage) for stage in trace.stages)]


def stage_line(stage: Stage) -> str:
    """Name, counts, note and milliseconds of one stage."""
    counts = " · ".join(f"{name} {output.number(value)}" for name, value in stage.counts.items())
    what = output.one_line(" → ".join(part for part in (counts, stage.note) if part))
    return f"{f'  {stage.name:<9} {what}':<{WIDTH}} {stage.ms:6.1f} ms"
