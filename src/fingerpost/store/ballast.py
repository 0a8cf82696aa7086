"""A reserve of disk space that is given up so that an index opens, and deletes go through, on a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from fingerpost.errors import DiskError

NAME = "BALLAST"
BYTES = 524_288
LENT = 65_536
"""What opening a database takes: SQLite keeps a file of 32 kB beside it that all its users share."""


def take_on(root: Path) -> None:
    """Reserve the space again, as far as there is room for it."""
    with suppress(OSError), (root / NAME).open("ab") as file:
        if os.fstat(file.fileno()).st_blocks * 512 < BYTES:
            os.posix_fallocate(file.fileno(), 0, BYTES)


def lend(root: Path) -> bool:
    """Give a little of the reserve up, so that an index can be opened; whether there was any."""
    path = root / NAME
    with suppress(OSError):
        left = path.stat().st_size - LENT
        if left >= 0:
            os.truncate(path, left)
            return True
    return False


def drop(root: Path, error: DiskError) -> None:
    """Give the reserve up. Raises ``error`` when there is none left to give."""
    path = root / NAME
    try:
        left = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        raise error from None
    if not left:
        raise error
