"""`fingerpost rollback`: undo what was learnt last."""

from __future__ import annotations

from fingerpost.cli import options, reports


def rollback(at: options.At = options.DEFAULT_AT, as_json: options.Json = False) -> None:
    """Undo what was learnt last: go back to the previous generation.

    Documents taken in since stay searchable; the pairs of the lesson that is undone are forgotten. A second
    rollback does not put it to use again. Where the previous generation had learned the same, since a fold
    came between, the report says that no lesson was undone.
    """
    import fingerpost

    with fingerpost.open(at, write=True) as index:
        report = index.rollback()
    reports.finish(report, as_json=as_json)
