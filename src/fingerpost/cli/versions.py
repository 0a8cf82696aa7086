"""`fingerpost snapshot`, `restore`, `compact`: copies of an index, and what it keeps of its past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options, reports


def snapshot(
    to: Annotated[Path, typer.Argument(help="a new folder for the copy")],
    at: options.At = options.DEFAULT_AT,
    as_json: options.Json = False,
) -> None:
    """Copy the index as it is now into a new folder, every digest checked.

    The copy is an index: `search --at` it, keep it, or put it back with `restore`. The index may be
    searched and written to meanwhile.
    """
    import fingerpost

    with fingerpost.open(at) as index:
        report = index.snapshot(to)
    reports.finish(report, as_json=as_json)


def restore(
    snapshot: Annotated[Path, typer.Argument(help="a folder that `snapshot` made")],
    to: Annotated[Path, typer.Option("--to", help="the index folder")] = options.DEFAULT_AT,
    replace: Annotated[bool, typer.Option("--replace", help="take the place of the index there")] = False,
    as_json: options.Json = False,
) -> None:
    """Put a copy of a snapshot at a new place, or with --replace in that of an index.

    The index that is replaced stays as it is until the copy is whole and checked.
    """
    import fingerpost

    reports.finish(fingerpost.restore(snapshot, to=to, replace=replace), as_json=as_json)


def compact(at: options.At = options.DEFAULT_AT, as_json: options.Json = False) -> None:
    """Fold what is new, drop what is kept of the past, and give the room back.

    Afterwards there is nothing to roll back to, and --as-of finds nothing older.
    """
    import fingerpost
    from fingerpost.cli import progress

    with fingerpost.open(at, write=True) as index, progress.bars() as draw:
        report = index.compact(progress=draw)
    reports.finish(report, as_json=as_json)
