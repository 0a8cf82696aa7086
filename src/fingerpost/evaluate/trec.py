"""TREC files: runs (query Q0 document rank score tag) and judgements (query 0 document grade), in and out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from fingerpost.errors import InputError, UsageError
from fingerpost.evaluate import runner
from fingerpost.evaluate.datasets import QuestionSet, lines, read_qrels, repetitions
from fingerpost.evaluate.measures import Measure, trec_order
from fingerpost.evaluate.report import Evaluation
from fingerpost.text.counts import noted

Runs = dict[str, dict[str, float]]


def read_run(path: Path) -> Runs:
    """A run: query id → document id → score. Ranks in the file are ignored, as by every tool of the field.

    Raises InputError E_QRELS with the line number: fields missing, a score that is no finite number, a
    document ranked twice for one query.
    """
    runs: Runs = {}
    for number, line in lines(path):
        query_id, doc_id, score = _ranked(line, path, number)
        row = runs.setdefault(query_id, {})
        if doc_id in row:
            raise _bad(path, number, f"'{doc_id}' is ranked twice for query '{query_id}'")
        row[doc_id] = score
    if not runs:
        raise InputError("E_QRELS", f"{path} holds no ranking", cure="name a TREC run file")
    return runs


def is_run(path: Path) -> bool:
    """Whether the file's first line is one of a run: six fields, the second of them ``Q0``."""
    if not path.is_file():
        return False
    _, first = next(lines(path), (0, ""))
    fields = first.split()
    return len(fields) == 6 and fields[1].upper() == "Q0"


def evaluate_run(path: Path, judgements: Path, measures: Sequence[Measure]) -> Evaluation:
    """Measure a run, whoever made it, as the leg ``search``; judged queries without a ranking fail."""
    judged, repeated = read_qrels(judgements)
    run = read_run(path)
    names = {query_id: query_id for query_id in judged}
    questions = QuestionSet(path.stem, judgements.stem, names, judged, notes=odd(run, judged, repeated))

    def rank(query_id: str) -> Mapping[str, runner.Ranking]:
        return {runner.SEARCH: list(run.get(query_id, {}).items())}

    return runner.evaluate(questions, rank, measures)


def odd(run: Mapping[str, object], judged: Mapping[str, object], repeated: int = 0) -> tuple[str, ...]:
    """What the field's tools are lenient about, counted.

    >>> odd({"q1": {}, "q9": {}}, {"q1": {}, "q2": {}})[0]
    '1 judged query has no ranking and counts as a failure'
    """
    unranked, unjudged = len(judged.keys() - run.keys()), len(run.keys() - judged.keys())
    one = "judged query has no ranking and counts as a failure"
    many = "judged queries have no ranking and count as failures"
    failed = noted(unranked, one, many)
    one, many = "query has no judgement and is left out", "queries have no judgement and are left out"
    return (*repetitions(repeated), *failed, *noted(unjudged, one, many))


def _ranked(line: str, path: Path, number: int) -> tuple[str, str, float]:
    fields = line.split()
    if len(fields) != 6:
        message = f"{len(fields)} fields where query, Q0, document, rank, score and tag should stand"
        raise _bad(path, number, message)
    try:
        score = float(fields[4])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise _bad(path, number, f"the score '{fields[4][:40]}' is not a finite number")
    return fields[0], fields[2], score


def _bad(path: Path, number: int, message: str) -> InputError:
    cure = "write six fields a line: query Q0 document rank score tag"
    return InputError("E_QRELS", f"{path}, line {number}: {message}", cure=cure, detail=f"{path}:{number}")


def write_run(out: TextIO, query_id: str, run: Mapping[str, float], *, tag: str = "fingerpost") -> None:
    """Append one query's ranking, best first, in the order that trec_eval reads from the scores.

    >>> import sys
    >>> write_run(sys.stdout, "q1", {"a": 0.5, "b": 1.0})
    q1 Q0 b 1 1.0 fingerpost
    q1 Q0 a 2 0.5 fingerpost
    """
    _checked([query_id, tag, *run])
    for rank, doc_id in enumerate(trec_order(run), start=1):
        out.write(f"{query_id} Q0 {doc_id} {rank} {float(run[doc_id])!r} {tag}\n")


def write_qrels(out: TextIO, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write judgements in TREC's four columns.

    >>> import sys
    >>> write_qrels(sys.stdout, {"q1": {"b": 2}})
    q1 0 b 2
    """
    for query_id, row in qrels.items():
        _checked([query_id, *row])
        out.writelines(f"{query_id} 0 {doc_id} {grade}\n" for doc_id, grade in row.items())


def _checked(ids: Iterable[str]) -> None:
    """TREC files separate fields by white space, so an id that holds some cannot be written."""
    for each in ids:
        if len(each.split()) != 1 or each != each.strip():
            message = f"the id {each[:80]!r} holds white space, which TREC files cannot carry"
            raise UsageError("E_ID", message, cure="use the JSON output for these ids", detail=each[:200])
