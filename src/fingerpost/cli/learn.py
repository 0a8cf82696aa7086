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
    forget: Annotated[
        Path | None,
        typer.Option("--forget", help="withdraw the pairs of this file, and learn anew from the others"),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="write the pairs taught so far, and stop")] = False,
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
    says by how much they moved. `fingerpost rollback` undoes the last lesson; `--list` and `--forget` take
    back pairs of any.
    """
    import fingerpost
    from fingerpost.cli import output, progress
    from fingerpost.errors import UsageError

    named = (pairs is not None) + log + bool(generate) + (forget is not None) + listed
    if named != 1:
        message = "--pairs, --log, --generate, --forget and --list are not mixed"
        cure = "name a folder or file with --pairs, or use --log or --generate 1000"
        raise UsageError("E_USAGE", message if named else "no pairs to learn from", cure=cure)
    if listed:
        with fingerpost.open(at) as index:
            for pair in index.taught():
                row = {"query": pair.query, "doc_id": pair.doc_id, "origin": pair.origin}
                output.say(output.as_json(row))
        return
    with fingerpost.open(at, write=True, settings=options.settings(config)) as index, progress.bars() as draw:
        given = index.clicks() if log else pairs
        report = index.learn(
            given, forget=forget, generate=generate, written=written, progress=draw, announce=output.note
        )
    reports.finish(report, as_json=as_json)
