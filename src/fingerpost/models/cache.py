"""Where built graphs are kept: one file a content digest, written atomically, checked whenever it is
loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fingerpost.errors import ModelError
from fingerpost.models.files import parse_json, read

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """A graph ready to run: its bytes, and what the build found out (``precision``: int8 or float32)."""

    graph: bytes
    precision: str


def folder() -> Path:
    """FINGERPOST_CACHE, else XDG_CACHE_HOME/fingerpost, else ~/.cache/fingerpost. It need not exist."""
    if named := os.environ.get("FINGERPOST_CACHE"):
        return Path(named)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "fingerpost"


def get(key: str) -> Built | None:
    """The graph kept under ``key``, None where there is none or it is damaged (then it is built again)."""
    path = folder() / f"{key}.onnx"
    if not os.path.isfile(path):  # nor in a folder that may not be looked into
        return None
    try:
        note = parse_json(read(path.with_suffix(".json"), limit=10_000))
        blob = read(path)
    except ModelError as error:
        _log.warning("the cached graph %s cannot be read and is built again: %s", path, error)
        return None
    if blob.sha256 != note.get("sha256"):
        _log.warning("the cached graph %s does not match its digest and is built again", path)
        return None
    return Built(blob.data, str(note.get("precision")))


def put(key: str, built: Built) -> None:
    """Keep a graph. Where the folder cannot be written a warning is logged and the next process builds it
    again.
    """
    note = {"precision": built.precision, "sha256": hashlib.sha256(built.graph).hexdigest()}
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(home / f"{key}.onnx", built.graph)
        _write(home / f"{key}.json", json.dumps(note, sort_keys=True).encode())
    except OSError as error:
        _log.warning(
            "the model cache %s cannot be written (%s): the graph is built anew each time", home, error
        )


def _write(path: Path, data: bytes) -> None:
    """All of ``data`` at ``path`` or nothing: temporary file, fsync, rename."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
