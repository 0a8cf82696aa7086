"""One writer per folder: a lock that the kernel drops when its holder dies, with the holder's pid inside.

Whoever removes the file, or puts another in its place, lets a second writer in: the first finds out before
its next write and before it publishes, and writes no more.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from fingerpost.errors import DiskError, LockedError, StoreError
from fingerpost.store.disk import closed, named_errors


class WriterLock:
    """Held from construction until ``release``. Raises LockedError (holder's pid in ``detail``) at once
    when another process, or another Store of this process, writes; a dead holder's lock is simply free.
    """

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / "LOCK"
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
        except OSError as error:
            os.close(self._handle)
            raise DiskError(
                "E_DISK",
                f"{path} cannot be locked: {error.strerror}",
                cure="keep the index where files can be locked (some network mounts cannot), or read only",
            ) from error
        os.ftruncate(self._handle, 0)
        with suppress(OSError):  # on a full disk the holder has no name; deletes must go on
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def check(self) -> None:
        """Raise StoreError E_FENCED where the file that is held is not the folder's any more, UsageError
        where it was released.
        """
        if self._handle < 0:
            raise closed(self._path.parent)
        try:
            same = os.path.samestat(os.stat(self._path), os.fstat(self._handle))
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreError(
                "E_FENCED",
                f"{self._path} was removed or replaced while it was held: another process may write there",
                cure="leave LOCK alone; see that nobody else writes, then open the index again",
            )

    def release(self) -> None:
        """Let the next writer in."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1
