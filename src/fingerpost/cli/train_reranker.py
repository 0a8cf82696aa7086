"""`fingerpost train-reranker`: a small cross-encoder of the index's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options, reports


def train_reranker(
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="a BEIR folder (its training split) or JSON Lines of query and doc_id; earlier pairs count",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="folder to make; the index's name with -reranker if not given")
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, max=600, help="most minutes of one core to train for")
    ] = 9.0,
    at: options.At = options.DEFAULT_AT,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Make a cross-encoder from the index's encoder, its pairs and the search's mistakes (extra `train`).

    Says first how many minutes of one core it takes. Stopped by Ctrl-C, the same command goes on. Questions
    held out of training decide: what does not pay is refused with the figures, exit status 5, and no folder
    is made. The index is not changed: name the folder in `[rerank] cross_encoder` to use it.
    """
    import fingerpost
    from fingerpost.cli import progress
    from fingerpost.errors import GateError
    from fingerpost.index.learn.crosses import Course
    from fingerpost.route.deep.cross import Dials

    folder = to or at.with_name(f"{at.absolute().name}-reranker")
    with fingerpost.open(at, settings=options.settings(config)) as index, progress.bars() as draw:
        course = Course(pairs, Dials(minutes=minutes), progress.watch(draw))
        report = index.train_reranker(folder, course, progress=draw)
    reports.finish(report, as_json=as_json)
    if not report.counts["kept"]:
        message = "held-out questions did not become better; no reranker was made"
        raise GateError("E_GATE", message, cure="give more pairs, or search without one")
