"""One writer per folder: a lock that the kernel drops when its holder dies, with the holder's pid inside."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from fingerpost.errors import LockedError
from fingerpost.store.disk import named_errors


class WriterLock:
    """Held from construction until ``release``. Raises LockedError (holder's pid in ``detail``) at once
    when another process, or another Store of this process, writes; a dead holder's lock is simply free.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "LOCK"
        with named_errors(path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise LockedError(
                "E_LOCKED",
                f"process {holder} is writing to {folder}",
                cure=f"wait for process {holder} to end, or stop it",
                detail=holder,
            ) from error
        os.ftruncate(self._handle, 0)
        with suppress(OSError):  # on a full disk the holder has no name; deletes must go on
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next writer in."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1
