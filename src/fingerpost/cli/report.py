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
    from fingerpost.evaluate.page import Latency
    from fingerpost.evaluate.report import Evaluation
    from fingerpost.index import Index

TIMED = 200
"""Questions whose stages are timed: enough for a p95 that stands still."""


@dataclass(frozen=True)
class Told:
    """What the report is about: the questions, their values, and the misses among the first ``k``."""

    questions: QuestionSet
    found: Evaluation
    misses: Sequence[Miss]
    k: int


def check(path: Path | None) -> None:
    """Refuse early what could not be written after all the work. Raises NotFoundError E_NOT_FOUND."""
    if path is not None and not path.absolute().parent.is_dir():
        raise NotFoundError("E_NOT_FOUND", f"no folder for {path}", cure="make the folder first")


def write(path: Path, index: Index, told: Told, *, principals: Sequence[str]) -> None:
    """Time the stages of some searches and write the page."""
    from fingerpost.evaluate.page import Lost, page

    latency = timed(index, list(told.questions.queries.values()), principals)
    lost = Lost(told.misses, told.k, told.questions.queries)
    path.write_text(page(told.found, latency=latency, lost=lost), encoding="utf-8")
    output.note(f"report: {path}")


def timed(index: Index, texts: Sequence[str], principals: Sequence[str]) -> Latency:
    """Milliseconds of each stage for at most ``TIMED`` questions, evenly drawn."""
    import numpy as np

    from fingerpost.evaluate.page import Latency

    chosen = texts[:: max(1, -(-len(texts) // TIMED))]
    stages: dict[str, list[float]] = {}
    for text in chosen:
        _, trace = index.trace(text, principals=principals)
        for stage in trace.stages:
            stages.setdefault(stage.name, []).append(stage.ms)
    return Latency({name: np.array(ms) for name, ms in stages.items()})
