"""`fingerpost init`: write a fingerpost.toml with every setting and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fingerpost.cli.output import note


def init(
    path: Annotated[Path, typer.Argument(help="the file to write")] = Path("fingerpost.toml"),
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
) -> None:
    """Write a settings file with every key, commented.

    A key that stays commented out follows `effort`.
    """
    from fingerpost.cli.settings_text import file_text
    from fingerpost.errors import UsageError

    try:
        with path.open("w" if force else "x", encoding="utf-8") as out:
            out.write(file_text())
    except FileExistsError as error:
        message = f"{path} is there already"
        raise UsageError("E_EXISTS", message, cure="name another file, or give --force") from error
    note(f"wrote {path}; uncomment what you want to change")
