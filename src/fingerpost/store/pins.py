"""Who reads which generation: a shared lock on byte N of the file PINS for each view of generation N.

A writer removes neither files nor text that a pinned view may still read, in this process or another. The
kernel drops a lock with the process that held it, so nothing is left behind by a crash. Where there are no
locks of this kind (they are Linux's), or PINS cannot be opened, views are good for two folds.
"""

from __future__ import annotations

import fcntl
import os
import struct
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

NAME = "PINS"
_SET, _GET = getattr(fcntl, "F_OFD_SETLK", None), getattr(fcntl, "F_OFD_GETLK", None)
_LOCK = "hhqqi4x"
"""The system's struct flock: type, whence, start, length, process."""


def prepare(root: Path) -> None:
    """Make the file, by a writer."""
    with suppress(OSError):  # a full disk stops no writer from opening: deletes must go on
        os.close(os.open(root / NAME, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def pin(root: Path, generation: int, holder: object) -> Callable[[], object]:
    """Keep a generation for as long as ``holder`` lives, or until what is returned is called."""
    with suppress(OSError):
        if _SET is not None:
            handle = os.open(root / NAME, os.O_RDONLY | os.O_CLOEXEC)
            release = weakref.finalize(holder, os.close, handle)
            fcntl.fcntl(handle, _SET, struct.pack(_LOCK, fcntl.F_RDLCK, os.SEEK_SET, generation, 1, 0))
            return release
    return lambda: None


def pinned(root: Path, generations: Iterable[int]) -> set[int]:
    """Those of ``generations`` that somebody reads."""
    found: set[int] = set()
    if _GET is None:
        return found
    with suppress(OSError):
        handle = os.open(root / NAME, os.O_RDWR | os.O_CLOEXEC)
        try:
            for number in generations:
                asked = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0)
                kind = struct.unpack(_LOCK, fcntl.fcntl(handle, _GET, asked))[0]
                found |= {number} if kind != fcntl.F_UNLCK else set()
        finally:
            os.close(handle)
    return found
