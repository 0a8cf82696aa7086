"""A reserve of disk space that is given up so that deletes go through on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from fingerpost.errors import DiskError

NAME = "BALLAST"
BYTES = 524_288


def take_on(root: Path) -> None:
    """Reserve the space again, if there is room for it."""
    path = root / NAME
    try:
        if path.stat().st_size == BYTES:
            return
    except FileNotFoundError:
        pass
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BYTES)
    except OSError:
        path.unlink(missing_ok=True)


def drop(root: Path, error: DiskError) -> None:
    """Give the reserve up. Raises ``error`` when there is none left to give."""
    try:
        (root / NAME).unlink()
    except FileNotFoundError:
        raise error from None
