"""Whether a file that is only ever replaced is still the one that was read."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from fingerpost.store.disk import corrupt, named_errors


class Glance:
    """The file at ``path`` as it is now. It is held open for as long as this lives: a number in use is given
    to no other file, so a replacement is noticed by it, also where its time and size are the same. (A clock
    may stand still, and some file systems count whole seconds.)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with named_errors(path):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise corrupt(path.name, "it is missing beside a ledger") from error
        self._release = weakref.finalize(self, os.close, handle)
        self._seen = _identity(os.fstat(handle))

    def current(self) -> bool:
        """Whether nothing has taken its place. Raises CorruptError where there is nothing any more."""
        try:
            return _identity(os.stat(self._path)) == self._seen
        except FileNotFoundError as error:
            raise corrupt(self._path.name, "it is missing beside a ledger") from error

    def release(self) -> None:
        """Let go of the file; safe to call twice."""
        self._release()


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
