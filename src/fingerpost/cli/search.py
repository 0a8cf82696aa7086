"""`fingerpost search`: evidence for a query."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import options, output, spans, traces

Query = Annotated[str, typer.Argument(help="what you are looking for; nothing in it is an operator")]


def search(
    query: Query,
    at: options.At = options.DEFAULT_AT,
    k: options.Count = 10,
    filters: options.Filters = None,
    principals: options.Principals = None,
    as_of: options.AsOf = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Find evidence: spans with their place and score.

    Spans go to stdout; what was done for them, stage by stage, to stderr.
    """
    import fingerpost

    count = options.check_count(k)
    with fingerpost.open(at, settings=options.settings(config), as_of=as_of) as index:
        found, trace = index.trace(query, k=count, filters=filters or (), principals=principals or ())
    traces.show(trace)
    if as_json:
        for span in found:
            output.say(output.as_json(span))
        return
    for span in found:
        output.say(spans.lines(span))
    if not found:
        output.note("nothing found")
