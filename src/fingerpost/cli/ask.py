"""`fingerpost ask`: an answer whose every sentence cites verified evidence."""

from __future__ import annotations

from typing import Annotated

import typer

from fingerpost.cli import answers, options, output, traces


def ask(
    question: Annotated[str, typer.Argument(help="a question in plain words")],
    at: options.At = options.DEFAULT_AT,
    filters: options.Filters = None,
    principals: options.Principals = None,
    as_of: options.AsOf = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Answer with a verified citation for every sentence, or refuse."""
    import fingerpost

    with fingerpost.open(at, settings=options.settings(config), as_of=as_of) as index:
        answer = index.ask(question, filters=filters or (), principals=principals or ())
    if as_json:
        output.say(output.as_json(answers.as_mapping(answer)))
        return
    if answer.trace is not None:
        traces.show(answer.trace)
    output.say(answers.text(answer))
