"""Recording the stages of one query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from fingerpost.records import Plan, Stage, Trace


@dataclass
class Draft:
    """The stage being recorded: fill ``counts`` and ``note`` while it runs."""

    name: str
    counts: dict[str, float] = field(default_factory=dict)
    note: str = ""


class Recorder:
    """Collects the stages of one query in order.

    >>> recorder = Recorder()
    >>> with recorder.stage("route") as stage:
    ...     stage.counts["leaves"] = 3
    >>> recorder.trace("how?", generation=7).stages[0].counts
    {'leaves': 3}
    """

    def __init__(self) -> None:
        self._stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Draft]:
        """Time a stage in milliseconds of wall clock; its draft is kept when the block ends well."""
        draft = Draft(name)
        began = perf_counter()
        yield draft
        ms = 1000 * (perf_counter() - began)
        self._stages.append(Stage(draft.name, ms, dict(draft.counts), draft.note))

    def trace(self, query: str, *, generation: int, plan: Plan | None = None) -> Trace:
        """Everything recorded so far, as a frozen record."""
        return Trace(query, generation, tuple(self._stages), plan)
