"""`fingerpost evaluate`: measure an index on questions whose documents are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import gates, options, output

MEASURES = ("nDCG@10", "R@100", "Hits@1", "MRR@10", "AP", "failure@20")


def evaluate(
    folder: Annotated[Path, typer.Argument(help="a BEIR folder, or JSON Lines of query and doc_id")],
    at: options.At = options.DEFAULT_AT,
    split: Annotated[str, typer.Option("--split", help="which judgements: qrels/<split>.tsv")] = "test",
    measure: Annotated[
        list[str] | None, typer.Option("--measure", help="in the field's notation, e.g. nDCG@10 (repeatable)")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require", help='a gate: "R@100>=0.9"; exit status 5 where it is not met (repeatable)'
        ),
    ] = None,
    misses: Annotated[
        bool, typer.Option("--misses", help="name the stage that lost each missed document")
    ] = False,
    k: options.Count = 20,
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Measure search quality on questions with known documents.

    Every leg and the whole search are measured, documents seen and unseen in training apart.
    """
    import fingerpost
    from fingerpost.cli import progress

    needs = [gates.parse(text) for text in require or ()]
    wanted = tuple(dict.fromkeys([*(measure or MEASURES), *(each.measure for each in needs)]))
    with fingerpost.open(at, settings=options.settings(config)) as index, progress.bars() as draw:
        result = index.evaluate(
            folder, split=split, measures=wanted, principals=tuple(principals or ()), progress=draw
        )
        lost = index.misses(folder, split=split, k=options.check_count(k)) if misses else None
    facts = result.to_json()
    _show(facts, result.table(), lost, as_json=as_json)
    for line in gates.check(needs, facts["legs"]):
        output.note(line)


def _show(facts: Mapping[str, object], table: str, lost: Sequence[object] | None, *, as_json: bool) -> None:
    if as_json:
        output.say(output.as_json({**facts, "misses": lost} if lost is not None else facts))
        return
    output.say(table)
    for miss in lost or ():
        output.say(output.visible(str(miss)))
