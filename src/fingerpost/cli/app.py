"""The verbs in the order a user meets them, and how a command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from fingerpost import __version__
from fingerpost.cli import (
    advise,
    ask,
    compare,
    compile,
    delete,
    demo,
    docs,
    doctor,
    environment,
    errors,
    evaluate,
    explain,
    feedback,
    init,
    learn,
    output,
    rollback,
    route,
    search,
    status,
    train,
    train_reranker,
    update,
    versions,
)

INTERRUPTED = 130
RESUMED = frozenset({"compile", "update", "demo", "train", "train-reranker"})
GOES_ON = "stopped; what was done is kept, and the same command goes on from there"
BEGINS_ANEW = "stopped; nothing is half done, and the same command begins anew"

app = typer.Typer(
    name="fingerpost",
    help="A search index that learns where to look, and shows its evidence.",
    epilog="Exit status: 0 ok, 1 bug, or an index that is locked, damaged or on a failing disk, 2 usage, or "
    "an input of which nothing can be made, 3 configuration, 4 not found, 5 gate not met, 6 needs an "
    "extra, 7 done but some inputs were left out.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for verb in (
    *(demo.demo, init.init, compile.compile, update.update, delete.delete),
    *(learn.learn, train.train, train_reranker.train_reranker, rollback.rollback),
    *(search.search, ask.ask, explain.explain, route.route, evaluate.evaluate, compare.compare),
    *(advise.advise, feedback.feedback),
    *(versions.snapshot, versions.restore, versions.compact),
    *(status.status, doctor.doctor, docs.docs),
):
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fingerpost {__version__}")
        raise typer.Exit


@app.callback()
def fingerpost(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    """A search index that learns where to look, and shows its evidence."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; every error has been told on stderr."""
    environment.warn(os.environ)
    try:
        status = app(list(arguments) or ["--help"], standalone_mode=False, prog_name="fingerpost")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        _silence_stdout()
        return 0
    except Exception as error:
        return errors.tell(error)
    if status == INTERRUPTED:
        output.note(GOES_ON if arguments[:1] and arguments[0] in RESUMED else BEGINS_ANEW)
    return status if isinstance(status, int) else 0


def _silence_stdout() -> None:
    """Give the interpreter's last flush somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
