"""An answer as people and as programs read it."""

from __future__ import annotations

import textwrap

from fingerpost.cli import output
from fingerpost.cli.spans import place
from fingerpost.records import Answer

MAX_CHARS = 160
"""Of a citation's words; its place says where the rest stands."""


def text(answer: Answer) -> str:
    """The answer with [n] marks and, beneath, each citation's place and words; or the refusal's reason."""
    if answer.refused:
        return f"no answer: {output.one_line(answer.reason)}"
    cited = [
        f"  [{number}] {place(span)}  “{_shortened(output.one_line(span.text))}”"
        for number, span in enumerate(answer.citations, start=1)
    ]
    said = [
        textwrap.fill(line, 100, break_on_hyphens=False) for line in output.visible(answer.text).split("\n")
    ]
    return "\n".join([*said, "", *cited])


def _shortened(words: str) -> str:
    """At most 160 characters, cut between words and marked as cut."""
    if len(words) <= MAX_CHARS:
        return words
    return words[: MAX_CHARS - 1].rpartition(" ")[0] + " …"


def as_mapping(answer: Answer) -> object:
    """Every field of the answer, and its text with the marks."""
    fields = output.plain(answer)
    return {"text": answer.text, **fields} if isinstance(fields, dict) else fields
