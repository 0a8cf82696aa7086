"""`fingerpost feedback`: record which document a query wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, output
from fingerpost.cli.search import Query


def feedback(
    query: Query,
    doc_id: Annotated[str, typer.Argument(help="the document that was clicked, or that helped")],
    at: options.At = options.DEFAULT_AT,
    principals: options.Principals = None,
    config: options.Config = None,
) -> None:
    """Record in the query log that a document was what a query wanted.

    The log is off unless `observe.log_queries` is set. `evaluate --log` measures on it, `learn --log` learns
    from it.
    """
    import fingerpost

    with fingerpost.open(at, settings=options.settings(config)) as index:
        index.feedback(query, doc_id, principals=principals or ())
    output.note("recorded")
