"""HEAD: the newest acknowledged seq beside the ledger, so that a ledger that lost its end is noticed.

SQLite drops damaged frames at the end of its write-ahead log without a word. HEAD is written after the
ledger's commit is on disk and before the write is acknowledged; it is not flushed itself, so it is never
ahead of the ledger unless the ledger lost something. An unreadable HEAD says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fingerpost.store.digest import digest
from fingerpost.store.disk import corrupt, named_errors
from fingerpost.store.ledger import Head

NAME = "HEAD"


def mark(root: Path, head: Head) -> None:
    """Note the newest acknowledged state."""
    with named_errors(root / NAME):
        handle = os.open(root / NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, _line(head.seq, head.chain.hex()), 0)
        finally:
            os.close(handle)


def check(root: Path, newest: Callable[[], Head]) -> None:
    """Raise CorruptError when the ledger ends before what was acknowledged.

    ``newest`` is asked after HEAD was read: a writer may acknowledge more at any moment.
    """
    try:
        text = (root / NAME).read_bytes()
        seq, chain, _ = text.decode("ascii").split()
        whole = text == _line(int(seq), chain)
    except (OSError, ValueError):
        return
    head = newest()
    if whole and (int(seq) > head.seq or (int(seq) == head.seq and chain != head.chain.hex())):
        raise corrupt("ledger.db", f"it ends at seq {head.seq}, but seq {int(seq)} was acknowledged")


def _line(seq: int, chain: str) -> bytes:
    return f"{seq:020d} {chain} {digest(seq, chain).hex()}\n".encode()
