"""An answer as people and as programs read it."""

from __future__ import annotations

import textwrap

from fingerpost.cli import output
from fingerpost.cli.spans import place
from fingerpost.records import Answer


def text(answer: Answer) -> str:
    """The answer with [n] marks and, beneath, each citation's place and words; or the refusal's reason."""
    if answer.refused:
        return f"no answer: {output.one_line(answer.reason)}"
    cited = [
        f"  [{number}] {place(span)}  “{output.one_line(span.text)[:160]}”"
        for number, span in enumerate(answer.citations, start=1)
    ]
    said = [
        textwrap.fill(line, 100, break_on_hyphens=False) for line in output.visible(answer.text).split("\n")
    ]
    return "\n".join([*said, "", *cited])


def as_mapping(answer: Answer) -> object:
    """Every field of the answer, and its text with the marks."""
    fields = output.plain(answer)
    return {"text": answer.text, **fields} if isinstance(fields, dict) else fields
