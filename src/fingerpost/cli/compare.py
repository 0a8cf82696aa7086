"""`fingerpost compare`: is one evaluation really better than another?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fingerpost.cli import options, output
from fingerpost.errors import InputError, NotFoundError, UsageError

if TYPE_CHECKING:
    from fingerpost.evaluate.compare import Comparison


def compare(
    a: Annotated[Path, typer.Argument(help="what `evaluate --json --per-query` wrote")],
    b: Annotated[Path, typer.Argument(help="another evaluation of the same questions")],
    leg: Annotated[str, typer.Option("--leg", help="which leg to compare")] = "search",
    qrels: Annotated[
        Path | None, typer.Option("--qrels", help="A and B are TREC runs, and these are the judgements")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", help="of TREC runs, e.g. nDCG@10 (repeatable)")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Tell whether one evaluation is really better than another.

    A mean carries the letter of each run that it beats significantly (paired randomisation test, p < 0.05).
    With `--qrels` two TREC run files are measured first, whoever made them.
    """
    from fingerpost.evaluate.compare import compared

    if qrels is not None:
        comparison = _runs({"a": a, "b": b}, qrels, measure)
    elif measure:
        message, cure = "--measure is for TREC runs", "give --qrels too, or evaluate again with --measure"
        raise UsageError("E_USAGE", message, cure=cure)
    else:
        comparison = _comparison({"a": _values(a, leg), "b": _values(b, leg)})
    output.say(output.as_json(_facts(comparison)) if as_json else compared(comparison))


def _runs(runs: Mapping[str, Path], qrels: Path, measure: list[str] | None) -> Comparison:
    """Two TREC runs measured against the same judgements; what looks odd is told on stderr."""
    from fingerpost.evaluate import compare as comparing
    from fingerpost.evaluate.datasets import read_qrels, repetitions
    from fingerpost.evaluate.measures import DEFAULT, parse
    from fingerpost.evaluate.trec import odd, read_run

    wanted = parse(measure or DEFAULT)
    judged, repeated = read_qrels(qrels)
    for note in repetitions(repeated):
        output.note(f"{qrels}: {note}")
    read = {name: read_run(path) for name, path in runs.items()}
    for name, run in read.items():
        for note in odd(run, judged):
            output.note(f"{runs[name]}: {note}")
    return comparing.compare(comparing.score_runs(read, judged, wanted), wanted)


def _values(path: Path, leg: str) -> dict[str, dict[str, float]]:
    """Query → measure → value of one leg."""
    try:
        per_query = json.loads(path.read_text(encoding="utf-8"))["per_query"]
        return {query: legs[leg] for query, legs in per_query.items()}
    except FileNotFoundError as error:
        raise NotFoundError("E_NOT_FOUND", f"{path} does not exist", cure="name an evaluation") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} holds no values of single queries for the leg '{leg}'"
        cure = "write it with `fingerpost evaluate … --json --per-query`"
        raise InputError("E_BAD_FORMAT", message, cure=cure) from error


def _comparison(runs: Mapping[str, dict[str, dict[str, float]]]) -> Comparison:
    import numpy as np

    from fingerpost.evaluate import compare as comparing
    from fingerpost.evaluate.measures import parse

    first, second = runs.values()
    if first.keys() != second.keys() or not first:
        shared = len(first.keys() & second.keys())
        message = f"the two evaluations share {shared} of {len(first)} and {len(second)} queries"
        raise UsageError("E_USAGE", message, cure="evaluate both on the same questions")
    other = {name for row in second.values() for name in row}
    names = [name for name in next(iter(first.values())) if name in other]
    tables = {
        run: np.array([[rows[query][name] for name in names] for query in first], dtype=np.float64)
        for run, rows in runs.items()
    }
    return comparing.compare(tables, parse(names))


def _facts(comparison: Comparison) -> dict[str, Any]:
    """Measure → mean of each run, difference and p value."""
    rows = {}
    for j, measure in enumerate(comparison.measures):
        a, b = (float(mean) for mean in comparison.means[:, j])
        rows[str(measure)] = {"a": a, "b": b, "difference": b - a, "p": float(comparison.p[0, 1, j])}
    return {"queries": comparison.queries, "measures": rows}
