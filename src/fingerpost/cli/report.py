"""`fingerpost evaluate --report`: the evaluation as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fingerpost.cli import output
from fingerpost.errors import NotFoundError

if TYPE_CHECKING:
    from fingerpost.evaluate.attribute import Miss
    from fingerpost.evaluate.datasets import QuestionSet
    from fingerpost.evaluate.fidelity import Fidelity
    from fingerpost.evaluate.report import Evaluation
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
    """Refuse early what could not be written after all the work. Raises NotFoundError E_NOT_FOUND."""
    if path is not None and not path.absolute().parent.is_dir():
        raise NotFoundError("E_NOT_FOUND", f"no folder for {path}", cure="make the folder first")


def write(path: Path, index: Index, told: Told, *, principals: Sequence[str]) -> None:
    """Time at most ``TIMED`` of the questions, evenly drawn, and write the page."""
    from fingerpost.evaluate.page import Lost, page

    texts = list(told.questions.queries.values())
    latency = index.timed(texts[:: max(1, -(-len(texts) // TIMED))], principals=principals)
    lost = Lost(told.misses, told.k, told.questions.queries)
    path.write_text(page(told.found, latency=latency, lost=lost, answers=told.answers), encoding="utf-8")
    output.note(f"report: {path}")
