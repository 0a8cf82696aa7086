"""How a compile, update, delete or learn tells what it did."""

from __future__ import annotations

import typer

from fingerpost.cli import errors, output
from fingerpost.records import Report


def finish(report: Report, *, as_json: bool, then: str = "") -> None:
    """Write the report to stdout, what was left out to stderr, and end with 7 where something was."""
    status = tell(report, as_json=as_json)
    if then and not as_json and not status:
        output.note(f"next: {then}")
    if status:
        raise typer.Exit(status)


def tell(report: Report, *, as_json: bool) -> int:
    """Write the report to stdout, what was left out to stderr; returns the exit status that says so."""
    if as_json:
        output.say(output.as_json(report))
    else:
        for line in lines(report):
            output.say(line)
    return errors.left_out(report.rejections)


def lines(report: Report) -> list[str]:
    """A report in words.

    >>> lines(Report({"documents": 3.0, "chunks": 1200.0}, notes=("masked 2 e-mail",), generation=4))
    ['documents 3 · chunks 1,200 · generation 4', 'masked 2 e-mail']
    """
    counts = [f"{name.replace('_', ' ')} {output.number(value)}" for name, value in report.counts.items()]
    head = " · ".join([*counts, f"generation {report.generation}"])
    return [output.visible(line) for line in (head, *report.notes)]
