"""`fingerpost compare`: is one evaluation really better than another?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli import options


def compare(
    a: Annotated[Path, typer.Argument(help="an evaluation: what `evaluate --json` wrote")],
    b: Annotated[Path, typer.Argument(help="another, of the same questions")],
    as_json: options.Json = False,
) -> None:
    """Tell whether one evaluation is really better than another."""
