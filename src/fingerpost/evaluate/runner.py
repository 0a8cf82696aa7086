"""Run questions through an index and measure every leg, one query at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fingerpost.errors import UsageError
from fingerpost.evaluate.datasets import QuestionSet, seen_queries
from fingerpost.evaluate.measures import Grades, Measure, score
from fingerpost.evaluate.report import Evaluation
from fingerpost.text.counts import noted

Ranking = Sequence[tuple[str, float]]
Rank = Callable[[str], Mapping[str, Ranking]]
SEARCH = "search"
"""The leg that users get."""
Progress = Callable[[int, int], None]
Keep = Callable[[str, Mapping[str, Ranking]], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One question: each leg's values in the order of the measures, the score of the search's first result
    (NaN without one), and whether that is relevant.
    """

    values: Mapping[str, Sequence[float]]
    promised: float
    right: bool


def results(rankings: Mapping[str, Ranking], own: str | None) -> Mapping[str, Ranking]:
    """The rankings without ``own``, the document that is the question itself; None where there is none."""
    if own is None:
        return rankings
    return {leg: [one for one in ranking if one[0] != own] for leg, ranking in rankings.items()}


def measure(
    rankings: Mapping[str, Ranking], grades: Grades, measures: Sequence[Measure], *, own: str | None = None
) -> Measured:
    """Measure the rankings of one question, leg by leg, without ``own`` as in ``results``."""
    rankings = results(rankings, own)
    values = {leg: score(measures, as_run(ranking), grades).tolist() for leg, ranking in rankings.items()}
    return Measured(values, *_first(rankings.get(SEARCH, ()), grades))


def evaluate(
    questions: QuestionSet,
    rank: Rank,
    measures: Sequence[Measure],
    *,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> Evaluation:
    """Rank every question and measure each leg.

    ``rank(text)`` gives, per leg, documents with their scores; every query must give the same legs.
    Rankings are measured and let go – memory holds one number a query, leg and measure – unless
    ``keep(query_id, rankings)`` takes them (to write run files, to list misses). ``progress(done, total)``
    is called after each query.
    """

    def measured() -> Iterator[Measured]:
        for query_id, text in questions.queries.items():
            rankings = results(rank(text), questions.own.get(query_id))
            if keep is not None:
                keep(query_id, rankings)
            yield measure(rankings, questions.qrels[query_id], measures)

    return collect(questions, measured(), measures, progress=progress)


def collect(
    questions: QuestionSet,
    measured: Iterable[Measured],
    measures: Sequence[Measure],
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Put what was measured together, in the order of the questions."""
    rows: dict[str, list[Sequence[float]]] = {}
    first: list[tuple[float, bool]] = []
    total = len(questions.queries)
    for done, (query_id, one) in enumerate(zip(questions.queries, measured, strict=True), start=1):
        if done > 1 and one.values.keys() != rows.keys():
            raise UsageError(
                "E_USAGE", f"query '{query_id}' was ranked by other legs", cure="report this as a bug"
            )
        for leg, values in one.values.items():
            rows.setdefault(leg, []).append(values)
        first.append((one.promised, one.right))
        if progress is not None:
            progress(done, total)
    seen = seen_queries(questions)
    return Evaluation(
        questions.name,
        questions.split,
        tuple(measures),
        tuple(questions.queries),
        {leg: np.array(values) for leg, values in rows.items()},
        np.array([query_id in seen for query_id in questions.queries], dtype=bool),
        generated=questions.generated,
        logged=questions.logged,
        notes=(*questions.notes, *_unanswerable(questions)),
        promised=np.array([score for score, _ in first], dtype=np.float64),
        right=np.array([right for _, right in first], dtype=bool),
    )


def _first(ranking: Ranking, grades: Mapping[str, int]) -> tuple[float, bool]:
    """The first result's score, NaN without one, and whether it is relevant."""
    if not ranking:
        return float("nan"), False
    doc_id, promised = ranking[0]
    return promised, grades.get(doc_id, 0) > 0


def as_run(ranking: Ranking) -> dict[str, float]:
    """A ranking as document → score. Raises UsageError E_USAGE when a document is ranked twice.

    >>> as_run([("a", 2.0), ("b", 1.0)])
    {'a': 2.0, 'b': 1.0}
    """
    run = dict(ranking)
    if len(run) != len(ranking):
        raise UsageError("E_USAGE", "a document is ranked twice", cure="rank each document by its best chunk")
    return run


def _unanswerable(questions: QuestionSet) -> tuple[str, ...]:
    count = sum(max(row.values(), default=0) < 1 for row in questions.qrels.values())
    one = "query has no relevant document and counts as a failure"
    return noted(count, one, "queries have no relevant document and count as failures")
