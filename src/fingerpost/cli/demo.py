"""`fingerpost demo`: index the Python standard library and ask it three questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli import answers, output, spans, traces

if TYPE_CHECKING:
    from fingerpost.index import Index

QUESTIONS = (
    ("an exact identifier", "What does dirs_exist_ok do in shutil.copytree?"),
    ("a how-to", "How do I run a command in a subprocess and capture its output?"),
    ("in other words than the answer's", "words that cannot be used as names of variables"),
)
SHOWN = 2


def demo(
    folder: Annotated[Path, typer.Argument(help="where the demo puts its corpus and its index")] = Path("."),
) -> None:
    """Index Python's standard library and ask it questions.

    It takes a few minutes the first time, downloads nothing, and goes on where it was stopped.
    """
    import fingerpost
    from fingerpost.cli import demo_corpus, progress

    corpus, kb = folder / "demo-corpus", folder / "demo-kb"
    output.note(f"{demo_corpus.gather(corpus)} files of the Python standard library in {corpus}")
    with progress.bars() as draw:
        index = fingerpost.compile(str(corpus), to=kb, progress=draw)
    with index:
        for kind, question in QUESTIONS:
            _ask(index, kind, question)
    output.say(_next(corpus, kb))


def _ask(index: Index, kind: str, question: str) -> None:
    """One question: the evidence found, then the answer with its citations."""
    output.say(f"── {kind} " + "─" * (70 - len(kind)))
    found, trace = index.trace(question, k=SHOWN)
    answer = index.ask(question)
    output.say("\n".join(traces.lines(answer.trace or trace)))
    for span in found:
        output.say(spans.lines(span))
    output.say(f"{answers.text(answer)}\n")


def _next(corpus: Path, kb: Path) -> str:
    return f"""\
What to type next:
  fingerpost ask "How do I create a zip archive?" --at {kb}
  fingerpost ask "How do I bake bread?" --at {kb}
  fingerpost explain "{QUESTIONS[2][1]}" --at {kb}
  fingerpost delete library/shutil.py --at {kb}
  fingerpost update {corpus}/library/shutil.py --at {kb}
  fingerpost compile <your folder> --to kb"""
