"""Progress on stderr: one bar a stage on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from fingerpost.cli.output import note

Callback = Callable[[str, int, "int | None"], None]
"""``progress(stage, done, total)``; ``total`` is None while it is unknown."""

EVERY_SECONDS = 3.0


@contextmanager
def bars() -> Iterator[Callback]:
    """A callback that draws; the drawing ends with the block."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as drawing:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = drawing.add_task(stage, total=total, rate="")
            task = drawing.tasks[drawing.task_ids.index(tasks[stage])]
            drawing.update(tasks[stage], completed=done, total=total, rate=rate(done, task.elapsed or 0.0))

        yield draw


class Lines:
    """Progress without a terminal: a line when a stage begins or ends, and at most one every 3 s between."""

    def __init__(self, clock: Callable[[], float] = monotonic, tell: Callable[[str], None] = note) -> None:
        self._clock, self._tell = clock, tell
        self._stage, self._began, self._last = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = self._clock()
        fresh, ended = stage != self._stage, total is not None and done >= total
        if fresh:
            self._stage, self._began = stage, now
        if fresh or ended or now - self._last >= EVERY_SECONDS:
            self._last = now
            self._tell(line(stage, done, total, seconds=now - self._began))


def rate(done: int, seconds: float) -> str:
    """Things a second.

    >>> rate(100, 2.0), rate(0, 0.0)
    ('50/s', '')
    """
    return f"{done / seconds:,.0f}/s" if done and seconds > 0 else ""


def line(stage: str, done: int, total: int | None, *, seconds: float) -> str:
    """One line of progress with rate and the time that is left.

    >>> line("encode", 100, 300, seconds=2.0)
    'encode     100 of 300, 50/s, 4 s left'
    >>> line("read", 7, None, seconds=0.0)
    'read       7'
    """
    parts = [f"{done:,} of {total:,}" if total is not None else f"{done:,}", rate(done, seconds)]
    if total is not None and 0 < done < total and seconds > 0:
        parts.append(f"{seconds * (total - done) / done:,.0f} s left")
    return f"{stage:<10} " + ", ".join(part for part in parts if part)
