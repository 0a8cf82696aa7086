"""`fingerpost doctor`: check every digest and count, and mend what can be mended."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, output

DAMAGED = 1


def doctor(
    at: options.At = options.DEFAULT_AT,
    repair: Annotated[bool, typer.Option("--repair", help="rebuild what is derived from the ledger")] = False,
    as_json: options.Json = False,
) -> None:
    """Check every file of an index against its digest.

    Each finding comes with its cure; the exit status is 1 while one is left.
    """
    import fingerpost
    from fingerpost.cli import progress

    with progress.bars() as draw:
        findings = fingerpost.doctor(at, repair=repair, progress=draw)
    for finding in findings:
        told = f"{output.label(finding.file)}: {output.one_line(finding.problem)}\n  cure: {finding.cure}"
        output.say(output.as_json(finding) if as_json else output.visible(told))
    if findings:
        raise typer.Exit(DAMAGED)
    output.note("everything agrees with its digest")
