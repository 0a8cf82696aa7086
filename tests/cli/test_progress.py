"""Progress without a terminal: few lines, with rate and the time that is left."""

from __future__ import annotations

from fingerpost.cli.progress import Lines


def test_a_line_at_the_start_the_end_and_every_few_seconds() -> None:
    told: list[str] = []
    clock = iter([0.0, 1.0, 2.0, 3.5, 4.0, 5.0, 5.1])
    progress = Lines(lambda: next(clock), told.append)
    for done in (0, 10, 20, 35, 40, 50):
        progress("encode", done, 50)
    progress("publish", 0, None)
    assert told == [
        "encode     0 of 50",
        "encode     35 of 50, 10/s, 2 s left",
        "encode     50 of 50, 10/s",
        "publish    0",
    ]


def test_many_calls_give_few_lines() -> None:
    told: list[str] = []
    progress = Lines(lambda: 0.0, told.append)
    for done in range(1000):
        progress("read", done, None)
    assert len(told) == 1
