"""`fingerpost docs`: write the reference pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import output


def docs(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="where to write them")] = Path("docs/reference"),
) -> None:
    """Write the reference pages from the code."""
    from fingerpost.cli import reference

    for path in reference.write(folder, context.find_root().command):
        output.say(str(path))
