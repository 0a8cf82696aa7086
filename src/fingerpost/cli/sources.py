"""The sources of a corpus as they are written on the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from glob import iglob
from pathlib import Path

from fingerpost.errors import NotFoundError, UsageError

MAX_LISTED = 1_000_000
_OWN = {"MANIFEST", "ledger.db", "LOCK"}
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|data:|mailto:|javascript:)")
_MAGIC = re.compile(r"[*?\[]")


def expand(given: Sequence[str], *, gone: bool = False) -> list[str]:
    """The sources, ``-`` replaced by the lines of stdin, every one checked before any work is done; with
    ``gone`` they may have disappeared.

    Raises UsageError E_PATH for a URL (nothing is ever fetched), NotFoundError for what is not there.
    """
    paths = [path for text in given for path in (_listed() if text == "-" else [text])]
    if not paths:
        raise UsageError("E_EMPTY", "no source was given", cure="name a folder or a file")
    for path in paths:
        _check(path, gone=gone)
    return paths


def check_target(folder: Path) -> None:
    """An index goes into a folder of its own: a new one, an empty one, or one that holds an index.

    Raises UsageError: E_PATH for a file, E_EXISTS for a folder that holds something else.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError("E_PATH", f"{folder} is not a folder", cure="name a new folder with --to")
    names = set(os.listdir(folder))
    if names and not names & _OWN:
        message = f"{folder} holds other files and no index"
        raise UsageError("E_EXISTS", message, cure="name a new or an empty folder with --to")


def _listed() -> list[str]:
    """One path a line, or separated by NUL as `find -print0` writes them."""
    text = os.fsdecode(sys.stdin.buffer.read())
    paths = [line.rstrip("\r") for line in text.split("\0" if "\0" in text else "\n")]
    paths = [path for path in paths if path]
    if len(paths) > MAX_LISTED:
        message = f"stdin lists {len(paths):,} files, more than {MAX_LISTED:,}"
        raise UsageError("E_TOO_MANY", message, cure="name their folder instead")
    return paths


def _check(path: str, *, gone: bool) -> None:
    if not path:
        raise UsageError("E_PATH", "an empty path was given", cure="name a folder or a file")
    if _URL.match(path) and not os.path.lexists(path):
        message = f"{path[:200]} is a URL, and nothing is fetched from the network"
        raise UsageError("E_PATH", message, cure="download it yourself and name the file")
    if gone or "\0" in path or os.path.lexists(path):
        return
    if not _MAGIC.search(path):
        raise NotFoundError(
            "E_NOT_FOUND", f"{path[:200]} does not exist", cure="name a folder or file that does"
        )
    if next(iglob(path, recursive=True), None) is None:
        raise NotFoundError("E_NOT_FOUND", f"no file matches {path[:200]}", cure="mend the pattern")
