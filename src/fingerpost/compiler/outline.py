"""Outlines: headings in reading order become sections that enclose what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fingerpost.records import Section

MAX_SECTIONS = 50_000
MAX_TITLE = 200


class Mark(NamedTuple):
    """A heading: where its line starts, its words, how deep it is (1 is outermost)."""

    start: int
    title: str
    level: int
    kind: str = "heading"


def enclose(marks: Sequence[Mark], end: int) -> tuple[Section, ...]:
    """Each heading's section reaches to the next heading that is no deeper.

    >>> [(s.title, s.start, s.end) for s in enclose([Mark(0, "A", 1), Mark(5, "B", 2), Mark(9, "C", 1)], 20)]
    [('A', 0, 9), ('B', 5, 9), ('C', 9, 20)]
    """
    ends = [end] * len(marks)
    open_marks: list[int] = []
    for at, mark in enumerate(marks):
        while open_marks and marks[open_marks[-1]].level >= mark.level:
            ends[open_marks.pop()] = mark.start
        open_marks.append(at)
    return tuple(
        Section(mark.start, stop, _short(mark.title), mark.level, mark.kind)
        for mark, stop in zip(marks[:MAX_SECTIONS], ends, strict=False)
    )


def _short(title: str) -> str:
    title = " ".join(title[: 4 * MAX_TITLE].split())
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def lines(text: str) -> Iterable[tuple[int, str]]:
    """Each line with its offset, without its line break (only ``\\n`` breaks lines).

    >>> list(lines("a\\nbc"))
    [(0, 'a'), (2, 'bc')]
    """
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1
