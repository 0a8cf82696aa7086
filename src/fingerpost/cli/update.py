"""`fingerpost update`: take in new and changed files."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, output, reports, sources


def update(
    path: Annotated[list[str], typer.Argument(help="files or folders; - reads a list of files from stdin")],
    at: options.At = options.DEFAULT_AT,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Take in new and changed files, searchable at once; documents whose files are gone go.

    Untouched text keeps its chunk ids and vectors.
    """
    import fingerpost

    inputs = sources.expand(path, gone=True)
    with fingerpost.open(at, write=True, settings=options.settings(config)) as index:
        report = index.update(*inputs, announce=output.note)
    reports.finish(report, as_json=as_json)
