"""`fingerpost evaluate`: measure an index on questions whose documents are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli import options, output
from fingerpost.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fingerpost.evaluate.attribute import Miss
    from fingerpost.evaluate.datasets import QuestionSet
    from fingerpost.evaluate.fidelity import Fidelity
    from fingerpost.evaluate.freshness import Freshness
    from fingerpost.evaluate.report import Evaluation
    from fingerpost.index import Index

MEASURES = ("nDCG@10", "R@100", "Hits@1", "MRR@10", "AP", "failure@20")
MOST_GENERATED = 100_000

Questions = Annotated[
    Path | None,
    typer.Argument(help="a BEIR folder, or JSON Lines of query and doc_id; with --qrels also a TREC run"),
]
Qrels = Annotated[
    Path | None,
    typer.Option("--qrels", help="judgements in TREC's or BEIR's columns, for queries without their own"),
]
SaveTo = Annotated[
    Path | None,
    typer.Option("--save", help="also keep the questions, as a BEIR folder with TREC judgements beside"),
]
Generate = Annotated[
    int, typer.Option("--generate", help="no questions yet? make this many from the index's documents")
]
ReportTo = Annotated[
    Path | None, typer.Option("--report", help="also write everything, misses too, as one HTML file (or .md)")
]
RunTo = Annotated[
    Path | None, typer.Option("--run", help="also write what the search found as a TREC run file")
]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", help='a gate: "R@100>=0.9"; exit status 5 where it is not met (repeatable)'),
]

Split = Annotated[str, typer.Option("--split", help="which judgements: qrels/<split>.tsv")]
Log = Annotated[bool, typer.Option("--log", help="measure on the recorded queries and their clicks")]
Measures = Annotated[
    list[str] | None, typer.Option("--measure", help="in the field's notation, e.g. nDCG@10 (repeatable)")
]
Misses = Annotated[bool, typer.Option("--misses", help="name the stage that lost each missed document")]
Answers = Annotated[
    int, typer.Option("--answers", help="answer this many of the questions and check what the answers cite")
]
PerQuery = Annotated[
    bool, typer.Option("--per-query", help="with --json: every query's values, which `compare` reads")
]


def evaluate(
    questions: Questions = None,
    at: options.At = options.DEFAULT_AT,
    split: Split = "test",
    qrels: Qrels = None,
    generate: Generate = 0,
    log: Log = False,
    measure: Measures = None,
    require: Require = None,
    misses: Misses = False,
    k: options.Count = 20,
    answers: Answers = 0,
    report: ReportTo = None,
    run: RunTo = None,
    save: SaveTo = None,
    per_query: PerQuery = False,
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Measure search quality on questions with known documents.

    Every leg and the whole search are measured, documents seen and unseen in training apart. With `--misses`,
    -k says among how many results a document must be to count as found; with `--answers`, a document that is
    found but not cited is a miss as well. A TREC run, given with `--qrels`, is measured as it is: no index is
    asked.
    """
    import fingerpost
    from fingerpost.cli import progress
    from fingerpost.cli import report as pages
    from fingerpost.evaluate import require as gates

    _check_files(report, run, save)
    _check_answers(answers)
    needs, held = gates.gates(require or ()), tuple(principals or ())
    wanted = list(dict.fromkeys([*(measure or MEASURES), *(str(each.measure) for each in needs)]))
    source = Source(questions, split, qrels, generate, log)
    if source.is_run:
        _refuse_index_only(misses=misses, answers=answers, report=report, run=run, save=save)
        measured = _run_alone(source, wanted)
        _show(Shown(measured, None, None), as_json=as_json, per_query=per_query)
        gates.check(measured, needs)
        return
    with fingerpost.open(at, settings=options.settings(config)) as index, progress.bars() as draw:
        asked = _asked(index, source, held)
        if save is not None:
            _keep(asked, save)
        with pages.run_file(run) as keep:
            found = index.evaluate(asked, measures=wanted, principals=held, progress=draw, keep=keep)
        lost = None
        if misses or report:
            lost = index.misses(asked, k=k, answers=answers, principals=held, progress=draw)
        faith = index.fidelity(asked, count=answers, principals=held, progress=draw) if answers else None
        if report:
            pages.write(report, index, pages.Told(asked, found, lost or [], k, faith), principals=held)
        fresh = index.freshness()
    _show(Shown(found, lost if misses else None, faith, fresh), as_json=as_json, per_query=per_query)
    gates.check(found, needs)


@dataclass(frozen=True)
class Source:
    """Where the questions come from: a folder or file and its split or judgements, the documents, or the
    query log.
    """

    path: Path | None
    split: str
    qrels: Path | None
    generate: int
    log: bool

    @property
    def is_run(self) -> bool:
        """Whether it is a run that another system made."""
        from fingerpost.evaluate import trec

        return self.qrels is not None and self.path is not None and trec.is_run(self.path)


def _check_files(report: Path | None, run: Path | None, save: Path | None) -> None:
    """Refuse early what could not be written after all the work."""
    from fingerpost.cli import report as pages
    from fingerpost.evaluate import save as saving

    pages.check(report)
    pages.check(run)
    if save is not None:
        saving.refuse(save)


def _refuse_index_only(**given: object) -> None:
    """A run is all there is: nothing in it can be replayed, answered or asked again."""
    named = [f"--{name}" for name, value in given.items() if value]
    if named:
        message = f"{', '.join(named)} need an index, but a TREC run is measured as it is"
        raise UsageError("E_USAGE", message, cure="give the queries in place of the run")


def _run_alone(source: Source, wanted: list[str]) -> Evaluation:
    from fingerpost.evaluate import measures, trec

    if source.path is None or source.qrels is None or source.generate or source.log:
        message = "a run, --generate and --log are not mixed"
        raise UsageError("E_USAGE", message, cure="name the run and --qrels alone")
    return trec.evaluate_run(source.path, source.qrels, measures.parse(wanted))


def _keep(asked: QuestionSet, folder: Path) -> None:
    from fingerpost.evaluate import save as saving

    for note in saving.save(asked, folder):
        output.note(f"{folder}: {note}")
    output.note(f"questions: {folder}")


def _check_answers(count: int) -> None:
    if not 0 <= count <= MOST_GENERATED:
        message = f"--answers {count} is not in 1 … {MOST_GENERATED:,}"
        raise UsageError("E_RANGE", message, cure="ask for some hundred answers")


def _asked(index: Index, source: Source, principals: Sequence[str]) -> QuestionSet:
    """The questions of the one source that was named: never of two, they are not alike."""
    named = (source.path is not None) + bool(source.generate) + source.log
    if named != 1:
        message = "no questions to evaluate on"
        if named:
            message = "questions, --generate and --log are not mixed"
        raise UsageError("E_USAGE", message, cure="name a folder or file, or use --generate 200 or --log")
    if not 0 <= source.generate <= MOST_GENERATED:
        message = f"--generate {source.generate} is not in 1 … {MOST_GENERATED:,}"
        raise UsageError("E_RANGE", message, cure="ask for some hundred questions")
    if source.qrels is not None and source.path is None:
        message = "--qrels without the queries that it judges"
        raise UsageError("E_USAGE", message, cure="name a file of queries: id, tab, text, or JSON Lines")
    if source.log:
        return index.logged()
    return index.questions(
        source.path,
        split=source.split,
        qrels=source.qrels,
        generate=source.generate,
        principals=principals,
    )


@dataclass(frozen=True)
class Shown:
    """What was measured: the values, the misses and the answers where they were asked for, and how fresh the
    index has been.
    """

    found: Evaluation
    lost: list[Miss] | None
    answers: Fidelity | None
    freshness: Freshness | None = None


def _show(shown: Shown, *, as_json: bool, per_query: bool) -> None:
    from fingerpost.evaluate import attribute, fidelity, report

    if as_json:
        told = attribute.summary(shown.lost) if shown.lost is not None else {}
        faith = {"answers": fidelity.to_json(shown.answers)} if shown.answers else {}
        fresh = {"freshness": shown.freshness} if shown.freshness is not None else {}
        whole = {**report.to_json(shown.found, per_query=per_query), **told, **faith, **fresh}
        output.say(output.as_json(whole))
        return
    output.say(output.visible(report.table(shown.found)))
    for miss in shown.lost or ():
        place = f"{output.label(miss.query_id)}  {output.label(miss.doc_id)}"
        output.say(f"{place}  {miss.cause}: {output.one_line(miss.evidence)}")
    for line in (*attribute.told(shown.lost or ()), *(fidelity.told(shown.answers) if shown.answers else ())):
        output.say(line)
