"""`fingerpost evaluate --report`: the evaluation as one HTML file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fingerpost.cli import output
from fingerpost.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from fingerpost.evaluate.attribute import Miss
    from fingerpost.evaluate.datasets import QuestionSet
    from fingerpost.evaluate.fidelity import Fidelity
    from fingerpost.evaluate.report import Evaluation
    from fingerpost.evaluate.runner import Keep
    from fingerpost.index import Index

TIMED = 200
"""Questions whose stages are timed: enough for a p95 that stands still."""


@dataclass(frozen=True)
class Told:
    """What the report is about: the questions, their values, the misses among the first ``k``, and how
    faithful answers were where that was asked.
    """

    questions: QuestionSet
    found: Evaluation
    misses: Sequence[Miss]
    k: int
    answers: Fidelity | None = None


def check(path: Path | None) -> None:
    """Refuse early what could not be written after all the work. Raises NotFoundError or UsageError."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise NotFoundError("E_NOT_FOUND", f"no folder for {path}", cure="make the folder first")
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        what = "is a folder" if path.is_dir() else "cannot be written"
        raise UsageError("E_USAGE", f"{path} {what}", cure="name a file that may be written")


@contextmanager
def run_file(path: Path | None) -> Iterator[Keep | None]:
    """What writes the rankings of the search to a TREC run file; None without one."""
    if path is None:
        yield None
        return
    from fingerpost.evaluate.trec import write_run

    with path.open("w", encoding="utf-8") as out:

        def keep(query_id: str, rankings: Mapping[str, Sequence[tuple[str, float]]]) -> None:
            write_run(out, query_id, dict(rankings["search"]))

        yield keep
    output.note(f"run: {path}")


def write(path: Path, index: Index, told: Told, *, principals: Sequence[str]) -> None:
    """Time at most ``TIMED`` of the questions, evenly drawn, and write the page."""
    from fingerpost.evaluate.markdown import markdown
    from fingerpost.evaluate.page import Lost, page

    texts = list(told.questions.queries.values())
    latency = index.timed(texts[:: max(1, -(-len(texts) // TIMED))], principals=principals)
    lost = Lost(told.misses, told.k, told.questions.queries)
    form = markdown if path.suffix.lower() in (".md", ".markdown") else page
    fresh, faith = index.freshness(), told.answers
    text = form(told.found, latency=latency, lost=lost, answers=faith, freshness=fresh)
    path.write_text(text, encoding="utf-8")
    output.note(f"report: {path}")
