"""An explanation as an indented tree."""

from __future__ import annotations

from collections.abc import Iterator

from fingerpost.cli import output
from fingerpost.records import Explanation


def text(tree: Explanation) -> str:
    """A line a node: name, value, note.

    >>> print(text(Explanation("score", "2.5", children=(Explanation("dense", "0.7", "½ × cosine"),))))
    score 2.5
      dense 0.7  – ½ × cosine
    """
    return "\n".join(_lines(tree, 0))


def _lines(tree: Explanation, depth: int) -> Iterator[str]:
    note = f"– {tree.note}" if tree.note else ""
    head = " ".join(part for part in (tree.name, tree.value) if part)
    yield "  " * depth + output.one_line(head) + (f"  {output.one_line(note)}" if note else "")
    for child in tree.children:
        yield from _lines(child, depth + 1)
