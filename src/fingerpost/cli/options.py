"""Options that several verbs share, so that a flag means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fingerpost.cli.output import note

if TYPE_CHECKING:
    from fingerpost.config import Settings

At = Annotated[Path, typer.Option("--at", help="the index folder")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object a line on stdout")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="settings file; without it ./fingerpost.toml is read where there is one"),
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help="only documents that match, e.g. path:guides/* (repeatable)"),
]
Principals = Annotated[
    list[str] | None,
    typer.Option("--as", help="ask as this principal: sees what it may read (repeatable)"),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="what the index was: a seq, or a generation as gen-7, that is still held"),
]
Count = Annotated[int, typer.Option("-k", "--count", help="how many, 1 to 1000")]

DEFAULT_AT = Path("kb")
DEFAULT_CONFIG = Path("fingerpost.toml")


def settings(config: Path | None) -> Settings | None:
    """The settings of a file: the one named, else ./fingerpost.toml, else None (the index's own)."""
    from fingerpost.config import load

    if config is not None:
        return load(config)
    if not DEFAULT_CONFIG.exists():
        return None
    note(f"settings from ./{DEFAULT_CONFIG}")  # said aloud: the folder one stands in decides
    return load(DEFAULT_CONFIG)


def check_count(count: int, *, most: int = 1000) -> int:
    """The number of results asked for. Raises UsageError E_RANGE outside 1 … ``most``."""
    from fingerpost.errors import UsageError

    if not 1 <= count <= most:
        raise UsageError(
            "E_RANGE", f"-k {count} is not in 1 … {most:,}", cure=f"give -k a number up to {most:,}"
        )
    return count
