"""`fingerpost delete`: remove documents."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, reports


def delete(
    doc_id: Annotated[
        list[str], typer.Argument(help="ids as search shows them; put -- before one that begins with -")
    ],
    at: options.At = options.DEFAULT_AT,
    as_json: options.Json = False,
) -> None:
    """Remove documents by id; no search finds them from then on."""
    import fingerpost

    with fingerpost.open(at, write=True) as index:
        report = index.delete(*doc_id)
    reports.finish(report, as_json=as_json)
