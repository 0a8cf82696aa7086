"""`fingerpost update`: take in new and changed files."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli import options, output, progress, reports, sources

if TYPE_CHECKING:
    from fingerpost.index import Index


def update(
    path: Annotated[list[str], typer.Argument(help="files or folders; - reads a list of files from stdin")],
    at: options.At = options.DEFAULT_AT,
    watch: Annotated[
        bool, typer.Option("--watch", help="go on with what changes, until Ctrl-C (extra watch)")
    ] = False,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Take in new and changed files, searchable at once; documents whose files are gone go.

    Untouched text keeps its chunk ids and vectors. With --watch a report follows for every batch of changes,
    once it is searchable.
    """
    import fingerpost

    inputs = sources.expand(path, gone=True)
    with fingerpost.open(at, write=True, settings=options.settings(config)) as index:
        if watch:
            _watch(index, inputs, as_json=as_json)
            return
        status = reports.tell(index.update(*inputs, announce=output.note), as_json=as_json)
        _settle(index)
    if status:
        raise typer.Exit(status)


def _watch(index: Index, inputs: Sequence[str], *, as_json: bool) -> None:
    """Ctrl-C, or SIGTERM, lets the batch in hand end; a second one stops it there."""
    stop, first = Event(), True
    with _ended_by_signals(stop):
        for report in index.watch(*inputs, stop=stop):
            reports.tell(report, as_json=as_json)
            if first:
                output.note("watching; Ctrl-C ends")
            first = False
        _settle(index)
    output.note("watching ended")


def _settle(index: Index) -> None:
    """Wait for a fold that runs beside."""
    if not index.folding:
        index.settle()
        return
    output.note("searchable; the index is folded before this ends")
    with progress.bars() as draw:
        index.settle(progress=draw)


@contextmanager
def _ended_by_signals(stop: Event) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
