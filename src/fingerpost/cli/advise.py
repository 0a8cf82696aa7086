"""`fingerpost advise`: which way of searching serves these documents and these questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli import options, output
from fingerpost.text.counts import counted

if TYPE_CHECKING:
    from fingerpost.evaluate.advise import Advice


def advise(
    questions: Annotated[
        Path,
        typer.Option("--questions", "--pairs", help="a BEIR folder, or JSON Lines of query and doc_id"),
    ],
    at: options.At = options.DEFAULT_AT,
    split: Annotated[str, typer.Option("--split", help="which judgements: qrels/<split>.tsv")] = "test",
    principals: options.Principals = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Say which way of searching serves your documents and questions, by how much, and what would change it.

    BM25 alone, vectors alone, both fused, the untrained search and the learned one answer the same questions;
    those that the index was taught are left out. Differences are tested, costs are measured.
    """
    import fingerpost
    from fingerpost.cli import progress
    from fingerpost.evaluate import advise as advising

    with fingerpost.open(at, settings=options.settings(config)) as index, progress.bars() as draw:
        advice = index.advise(questions, split=split, principals=tuple(principals or ()), progress=draw)
    output.say(output.as_json(advising.to_json(advice)) if as_json else output.visible(_text(advice)))


def _text(advice: Advice) -> str:
    from fingerpost.evaluate.advise import NAMES
    from fingerpost.evaluate.report import layout

    rows = [["", "nDCG@10", "ms a query"]]
    for stack in advice.stacks:
        mark = "→ " if stack.name == advice.stack else "  "
        rows.append([mark + NAMES[stack.name], f"{stack.values.mean():.4f}", f"{stack.ms:.1f}"])
    parts = [
        f"use {NAMES[advice.stack]}",
        "",
        *layout(rows),
        "",
        *(f"why: {line}" for line in advice.reasons),
        *(f"would change it: {line}" for line in advice.would_change),
        *_facts(advice),
    ]
    return "\n".join(parts)


def _facts(advice: Advice) -> list[str]:
    facts = advice.facts
    shares = {
        "about documents seen in training": facts.seen,
        "repeating another": facts.repeated,
        "naming a code": facts.exact,
        "taught": facts.taught,
    }
    told = " · ".join(f"{share:.0%} {name}" for name, share in shares.items())
    return [
        f"questions: {facts.questions:,}: {told}",
        f"index: {counted(facts.documents, 'document')} · {counted(facts.chunks, 'chunk')}, "
        f"{facts.fresh:.0%} fresh · {counted(facts.labels, 'pair')} taught, "
        f"{facts.available:,} in the training split",
    ]
