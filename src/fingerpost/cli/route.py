"""`fingerpost route`: where a query would be sent."""

from __future__ import annotations

from fingerpost.cli import options, output, trees
from fingerpost.cli.search import Query


def route(
    query: Query,
    at: options.At = options.DEFAULT_AT,
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Show where in the address tree a query is sent, and why.

    Each shard and leaf with its chance, the words and a title that tell what a leaf is about, and whether it
    is opened. What leaves are about is shown to who sees every document.
    """
    import fingerpost

    with fingerpost.open(at, settings=options.settings(config)) as index:
        tree = index.route(query, principals=principals or ())
    output.say(output.as_json(tree) if as_json else trees.text(tree))
