"""A small file of measurements in an index's folder: written over in place and not flushed (some file systems
flush what is renamed over another file), with a digest that tells half a write from a whole one. Nothing is
answered from it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from time import sleep

PATIENCE = (0.0, 0.01, 0.1)
"""Seconds before each look: it may just be written."""


def read(path: Path, *, patience: Sequence[float] = PATIENCE) -> str:
    """The text in the file. Raises ValueError where it is not what was written, OSError without one."""
    for seconds in patience:
        sleep(seconds)
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
        size, _, digest = head.partition(" ")
        body = text[: int(size)] if size.isdecimal() else ""
        if digest == _digest(body):
            return body
    raise ValueError("its digest does not match")


def write(path: Path, body: str) -> None:
    """Write the (ASCII) text over what is there. Raises OSError."""
    whole = f"{len(body)} {_digest(body)}\n{body}".encode()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, whole, 0)
        if os.fstat(handle).st_size > len(whole):
            os.ftruncate(handle, len(whole))
    finally:
        os.close(handle)


def _digest(body: str) -> str:
    return sha256(body.encode()).hexdigest()
