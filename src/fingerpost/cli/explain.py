"""`fingerpost explain`: why these results, factor by factor."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, output, trees
from fingerpost.cli.search import Query


def explain(
    query: Query,
    at: options.At = options.DEFAULT_AT,
    doc: Annotated[
        str | None, typer.Option("--doc", help="why this document stands where it does, or is not found")
    ] = None,
    k: options.Count = 5,
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Show every factor of a ranking, or where a document was lost.

    With `--doc`, a document that is not among the first -k results is followed back to the stage that lost
    it.
    """
    import fingerpost

    count = options.check_count(k)
    with fingerpost.open(at, settings=options.settings(config)) as index:
        tree = index.explain(query, doc_id=doc, k=count, principals=principals or ())
    output.say(output.as_json(tree) if as_json else trees.text(tree))
