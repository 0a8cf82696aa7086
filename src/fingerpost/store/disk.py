"""Files: written whole or not at all, hashed while written, and failures named.

Publishing is always write, fsync, rename, fsync of the folder. A full, read-only or failing disk becomes
DiskError; a file that is not what it was becomes CorruptError.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fingerpost.errors import (
    CorruptError,
    DiskError,
    FingerpostError,
    LockedError,
    NotFoundError,
    StoreError,
    UsageError,
)

BLOCK = 1 << 22
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_FAILING = {errno.EIO, errno.ENXIO, errno.EMFILE, errno.ENFILE}


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what the system and SQLite say about ``path`` into the store's own errors."""
    try:
        yield
    except OSError as error:
        raise _of_system(error, path) from error
    except sqlite3.Error as error:
        raise _of_sqlite(error, path) from error
    except UnicodeDecodeError as error:  # a damaged schema or row quoted in SQLite's own message
        raise corrupt(path.name, str(error)) from error


def _of_system(error: OSError, path: Path) -> Exception:
    if error.errno in _FULL:
        return DiskError("E_DISK", f"no space left for {path}", cure="free space, then repeat the write")
    if error.errno in _READ_ONLY:
        return DiskError("E_DISK", f"{path} cannot be written", cure="give write permission, or open to read")
    if error.errno in _FAILING:
        return DiskError("E_DISK", f"{path}: {os.strerror(error.errno or 0)}", cure="check disk and limits")
    if error.errno in _IN_THE_WAY:
        name = error.filename or path
        return UsageError("E_EXISTS", f"{name} is in the way", cure="move it away, then repeat the command")
    return error


def closed(folder: Path) -> UsageError:
    """What is told of an index that was closed and is asked something."""
    return UsageError("E_USAGE", f"{folder} was closed here", cure="open the index again")


def _of_sqlite(error: sqlite3.Error, path: Path) -> Exception:
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return closed(path.parent)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskError("E_DISK", f"no space left for {path}", cure="free space, then repeat the write")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return DiskError("E_DISK", f"{path}: {error}", cure="check the disk and its permissions")
    if code == sqlite3.SQLITE_BUSY:
        return LockedError("E_LOCKED", f"{path} is busy", cure="wait for the other process, then repeat")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(
        error, (sqlite3.DatabaseError, sqlite3.InterfaceError)
    ):
        return corrupt(path.name, str(error))
    return StoreError("E_CORRUPT", f"{path}: {error}", cure="run `fingerpost doctor`")


RESTORE = "restore the folder from a copy, or compile into a new one"
REBUILD = "run `fingerpost doctor --repair`: it is made again from the ledger"
MEND_KEPT = "run `fingerpost doctor --repair`: what is kept is mended where that can be, or let go"


def corrupt(what: str, why: str, *, kept: bool = False) -> CorruptError:
    """The error for ``what`` (a file or a record) that is not what was written; ``kept`` is a file that only
    going back needs.
    """
    cure = RESTORE if what.startswith("ledger.db") else MEND_KEPT if kept else REBUILD
    return CorruptError("E_CORRUPT", f"{what} is damaged: {why}", cure=cure, detail=what)


def no_index(folder: Path) -> FingerpostError:
    """The error for a folder without a ledger: no index, or one that was copied by halves."""
    if not (folder / "MANIFEST").exists():
        cure = "make one with `fingerpost compile`"
        return NotFoundError("E_NOT_FOUND", f"no index at {folder}", cure=cure, detail=str(folder))
    cure = "copy the folder whole, or restore it: the ledger is the one file that cannot be made anew"
    return CorruptError("E_CORRUPT", f"{folder} holds an index without its ledger.db", cure=cure)


def make_folder(folder: Path) -> None:
    """Make a private folder and what is missing above it; their names are durable when this returns. Raises
    UsageError where a file is in the way.
    """
    blocked = next((each for each in (folder, *folder.parents) if each.exists() and not each.is_dir()), None)
    if blocked is not None:
        raise UsageError("E_PATH", f"{blocked} is no folder", cure="name a new folder for the index")
    missing = [each for each in folder.parents if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (folder, *missing):
        with suppress(PermissionError):  # a folder above that may be entered, but not read
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the bytes of an already written file durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(path: Path, blocks: Iterable[bytes | memoryview]) -> None:
    """Write a new file of a generation and make its bytes durable."""
    with named_errors(path), path.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, body: bytes) -> None:
    """Put ``body`` in the place of ``path`` so that a reader sees the old or the new bytes, never both."""
    temporary = path.with_name(path.name + ".new")
    with named_errors(path):
        with temporary.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
