"""How a command says what went wrong: `error E_CODE: sentence`, `cure: …`, no traceback unless asked for."""

from __future__ import annotations

import errno
import os
import traceback

import typer

from fingerpost.cli.output import label, note, one_line
from fingerpost.errors import DiskError, FingerpostError, StoreError, UsageError
from fingerpost.records import Rejection

LEFT_OUT = 7
_SHOWN = 20
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


def tell(error: Exception) -> int:
    """Tell an error on stderr and return the exit status."""
    if os.environ.get("FINGERPOST_DEBUG") == "1":
        typer.echo("".join(traceback.format_exception(error)), err=True)
    named = _named(error)
    if named is None:
        note(f"error: {type(error).__name__}: {one_line(str(error))}")
        note("cure: this is a bug in fingerpost; run again with FINGERPOST_DEBUG=1 and report what it prints")
        return 1
    note(f"error {named.code}: {one_line(named.message)}")
    note(f"cure: {one_line(named.cure)}")
    return named.exit_status


def _named(error: Exception) -> FingerpostError | None:
    if isinstance(error, FingerpostError):
        return error
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return StoreError("E_TOO_BIG", "not enough memory", cure="free memory, or index less at once")
    say = getattr(error, "format_message", None)  # the parser of options, whichever typer carries
    if say is None:
        return None
    return UsageError("E_USAGE", say(), cure=f"see `{_help(error)}`")


def _of_system(error: OSError) -> FingerpostError:
    where = f"{error.filename}: " if error.filename else ""
    message = f"{where}{error.strerror or error}"
    if error.errno in _DISK:
        return DiskError("E_DISK", message, cure="make room on a disk that can be written; nothing was lost")
    return StoreError("E_UNREADABLE", message, cure="check that it exists and that you may use it")


def _help(error: Exception) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "") or "fingerpost"
    return f"{path} --help"


def left_out(rejections: tuple[Rejection, ...]) -> int:
    """Name every input that was left out and return the exit status that says so."""
    for rejection in rejections[:_SHOWN]:
        what = f"{rejection.code}: {one_line(rejection.reason)}"
        note(f"left out {label(rejection.source)}: {what}\n  cure: {one_line(rejection.cure)}")
    more = len(rejections) - _SHOWN
    if more > 0:
        note(f"… and {more:,} more; --json lists all of them")
    return LEFT_OUT if rejections else 0
