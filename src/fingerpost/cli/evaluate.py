"""`fingerpost evaluate`: measure an index on questions whose documents are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli import options, output

if TYPE_CHECKING:
    from fingerpost.evaluate.attribute import Miss
    from fingerpost.evaluate.report import Evaluation

MEASURES = ("nDCG@10", "R@100", "Hits@1", "MRR@10", "AP", "failure@20")


def evaluate(
    questions: Annotated[Path, typer.Argument(help="a BEIR folder, or JSON Lines of query and doc_id")],
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
    per_query: Annotated[
        bool, typer.Option("--per-query", help="with --json: every query's values, which `compare` reads")
    ] = False,
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Measure search quality on questions with known documents.

    Every leg and the whole search are measured, documents seen and unseen in training apart. With `--misses`,
    -k says among how many results a document must be to count as found.
    """
    import fingerpost
    from fingerpost.cli import progress
    from fingerpost.evaluate import require as gates

    needs, held = gates.gates(require or ()), tuple(principals or ())
    wanted = list(dict.fromkeys([*(measure or MEASURES), *(str(each.measure) for each in needs)]))
    with fingerpost.open(at, settings=options.settings(config)) as index, progress.bars() as draw:
        found = index.evaluate(questions, split=split, measures=wanted, principals=held, progress=draw)
        lost = None
        if misses:
            lost = index.misses(questions, split=split, k=k, principals=held, progress=draw)
    _show(found, lost, as_json=as_json, per_query=per_query)
    gates.check(found, needs)


def _show(found: Evaluation, lost: list[Miss] | None, *, as_json: bool, per_query: bool) -> None:
    from fingerpost.evaluate import report

    if as_json:
        facts = report.to_json(found, per_query=per_query)
        output.say(output.as_json({**facts, "misses": lost} if lost is not None else facts))
        return
    output.say(output.visible(report.table(found)))
    for miss in lost or ():
        place = f"{output.label(miss.query_id)}  {output.label(miss.doc_id)}"
        output.say(f"{place}  {miss.cause}: {output.one_line(miss.evidence)}")
