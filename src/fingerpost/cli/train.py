"""`fingerpost train`: deep training, with torch, of what an index serves without it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options, reports


def train(
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="a BEIR folder (its training split) or JSON Lines of query and doc_id",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--kind", help="query (its encoder), both (a model to compile with) or dsi (docids)"),
    ] = "query",
    to: Annotated[
        Path | None, typer.Option("--to", help="with --kind both: the model folder to write")
    ] = None,
    at: options.At = options.DEFAULT_AT,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Train a network on questions and their documents, on this machine (extra `train`).

    Says first how many minutes of one core it takes. Stopped by Ctrl-C, the same command goes on from its
    last pass. Questions held out of training decide: what does not pay is refused with the figures, exit
    status 5, and nothing is changed. `fingerpost rollback` undoes it.
    """
    import fingerpost
    from fingerpost.cli import progress
    from fingerpost.errors import GateError
    from fingerpost.index.learn.training import Request

    with fingerpost.open(at, write=True, settings=options.settings(config)) as index, progress.bars() as draw:
        report = index.train(Request(pairs, kind, progress.watch(draw), to=to), progress=draw)
    reports.finish(report, as_json=as_json)
    if not report.counts["kept"]:
        message = "held-out questions did not become better; the index is as it was"
        raise GateError("E_GATE", message, cure="give more pairs, or leave it to `fingerpost learn`")
