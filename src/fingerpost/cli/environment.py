"""The environment variables that are read, and a word about those that look like ours but are not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fingerpost.cli.output import note

KNOWN = {
    "FINGERPOST_DEBUG": "1 shows the traceback of an error and the log",
    "FINGERPOST_DATA": "folder of retrieval sets for tests and benchmarks",
}


def strangers(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names that begin like ours but are not read, each with the nearest one that is.

    >>> strangers(["HOME", "Fingerpost_debug", "FINGERPOST_DEBUG"])
    [('Fingerpost_debug', 'FINGERPOST_DEBUG')]
    """
    ours = [name for name in names if name.upper().startswith("FINGERPOST_") and name not in KNOWN]
    return [(name, (get_close_matches(name.upper(), KNOWN, n=1) or sorted(KNOWN))[0]) for name in ours]


def warn(names: Iterable[str]) -> None:
    """Say on stderr which variables are ignored."""
    for name, near in strangers(names):
        note(f"warning: the environment variable {name} is not read; did you mean {near}?")
