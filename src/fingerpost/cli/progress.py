"""Progress on stderr: one bar a stage on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from fingerpost.cli.output import note

if TYPE_CHECKING:
    from fingerpost.route.deep.steps import Step


class Callback(Protocol):
    """``progress(stage, done, total)``; ``total`` is None while it is unknown. ``said`` stands in the place
    of the rate and of the time that is left.
    """

    def __call__(self, stage: str, done: int, total: int | None, /, said: str = "") -> None: ...


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

        def draw(stage: str, done: int, total: int | None, /, said: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = drawing.add_task(stage, total=total, rate="")
            task = drawing.tasks[drawing.task_ids.index(tasks[stage])]
            beside = said or rate(done, task.elapsed or 0.0)
            drawing.update(tasks[stage], completed=done, total=total, rate=beside)

        yield draw


class Lines:
    """Progress without a terminal: a line when a stage begins or ends, and at most one every 3 s between."""

    def __init__(self, clock: Callable[[], float] = monotonic, tell: Callable[[str], None] = note) -> None:
        self._clock, self._tell = clock, tell
        self._stage, self._began, self._last = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int | None, /, said: str = "") -> None:
        now = self._clock()
        fresh, ended = stage != self._stage, total is not None and done >= total
        if fresh:
            self._stage, self._began = stage, now
        if fresh or ended or now - self._last >= EVERY_SECONDS:
            self._last = now
            self._tell(line(stage, done, total, seconds=now - self._began, said=said))


def watch(draw: Callback, tell: Callable[[str], None] = note) -> Callable[[Step], None]:
    """Tell what a training takes before it starts, and draw its steps."""

    def told(step: Step) -> None:
        if not step.done:
            tell(f"training takes about {step.minutes_left:.1f} minutes of one core, judging it comes on top")
        else:
            draw("train", step.done, step.total, said=course(step))

    return told


def course(step: Step) -> str:
    """Loss, last held-out figure and time left of a training.

    >>> from fingerpost.route.deep.steps import Step
    >>> course(Step(10, 40, 1.25, loss=2.5, held_out=0.61))
    'loss 2.500, held-out MRR 0.610, 1.2 min left'
    """
    parts = [] if step.loss is None else [f"loss {step.loss:.3f}"]
    parts += [] if step.held_out is None else [f"held-out MRR {step.held_out:.3f}"]
    return ", ".join([*parts, f"{step.minutes_left:.1f} min left"])


def rate(done: int, seconds: float) -> str:
    """Things a second.

    >>> rate(100, 2.0), rate(0, 0.0)
    ('50/s', '')
    """
    return f"{done / seconds:,.0f}/s" if done and seconds > 0 else ""


def line(stage: str, done: int, total: int | None, *, seconds: float, said: str = "") -> str:
    """One line of progress with rate and the time that is left.

    >>> line("encode", 100, 300, seconds=2.0)
    'encode     100 of 300, 50/s, 4 s left'
    >>> line("read", 7, None, seconds=0.0)
    'read       7'
    """
    parts = [f"{done:,} of {total:,}" if total is not None else f"{done:,}", said or rate(done, seconds)]
    if not said and total is not None and 0 < done < total and seconds > 0:
        parts.append(f"{seconds * (total - done) / done:,.0f} s left")
    return f"{stage:<10} " + ", ".join(part for part in parts if part)
