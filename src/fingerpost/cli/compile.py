"""`fingerpost compile`: read, mask, chunk, encode and index a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options, output, reports, sources


def compile(
    source: Annotated[
        list[str], typer.Argument(help="folders, files, patterns; - reads a list of files from stdin")
    ],
    to: Annotated[Path, typer.Option("--to", help="the index folder")] = options.DEFAULT_AT,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Build an index, go on with one that was interrupted, or bring one up to date.

    Over an index that is there only what changed is read into it, and documents that disappeared from
    the sources go. Documents of other sources stay.

    Markdown, HTML, text, reStructuredText, source code, JSON Lines, CSV, PDF (extra) and BEIR folders are
    read; what cannot be read is named on stderr and the exit status is 7.
    """
    import fingerpost
    from fingerpost.cli import progress

    inputs = sources.expand(source)
    sources.check_target(to)
    settings = options.settings(config)
    with (
        progress.bars() as draw,
        fingerpost.compile(*inputs, to=to, settings=settings, progress=draw, announce=output.note) as index,
    ):
        report = index.report
    then = f'fingerpost search --at {to} "…"' if report.counts["documents"] else ""
    reports.finish(report, as_json=as_json, then=then)
