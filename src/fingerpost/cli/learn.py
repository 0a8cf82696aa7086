"""`fingerpost learn`: train on pairs of questions and documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options, reports


def learn(
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="a BEIR folder (its training split) or JSON Lines of query and doc_id"),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="learn from the clicks of the query log")] = False,
    generate: Annotated[
        int, typer.Option("--generate", help="no pairs yet? weigh the legs by this many made-up questions")
    ] = 0,
    written: Annotated[
        bool,
        typer.Option("--written", help="with --generate: let the language model ([llm]) write as many more"),
    ] = False,
    at: options.At = options.DEFAULT_AT,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Learn where to look from questions and their documents.

    Questions held out of training decide: what does not make them better is not put to use, and the report
    says by how much they moved. `fingerpost rollback` undoes it.
    """
    import fingerpost
    from fingerpost.cli import output, progress
    from fingerpost.errors import UsageError

    named = (pairs is not None) + log + bool(generate)
    if named != 1:
        message = "--pairs, --log and --generate are not mixed" if named else "no pairs to learn from"
        cure = "name a folder or file with --pairs, or use --log or --generate 1000"
        raise UsageError("E_USAGE", message, cure=cure)
    with fingerpost.open(at, write=True, settings=options.settings(config)) as index, progress.bars() as draw:
        given = index.clicks() if log else pairs
        report = index.learn(given, generate=generate, written=written, progress=draw, announce=output.note)
    reports.finish(report, as_json=as_json)
