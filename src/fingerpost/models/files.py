"""Model files: what may be read from a model folder, and the digest of the very bytes that are used.

Only safetensors, ONNX and JSON are read. Nothing is unpickled, no code of a model is run, no link is
followed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fingerpost.errors import ModelError

MAX_WEIGHTS_BYTES = 4_000_000_000
MAX_JSON_BYTES = 32_000_000
MAX_FILES = 1_000
PICKLES = frozenset(
    {".bin", ".ckpt", ".h5", ".joblib", ".msgpack", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of one file and their sha256, taken from the same read."""

    name: str
    data: bytes
    sha256: str


def check_folder(folder: Path) -> None:
    """Refuse a model folder that is missing, holds links, twins by case, or far too many files.

    Raises ModelError (E_MODEL, E_PATH or E_TOO_MANY). Pickled files are named in the log and never opened.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ModelError(
            "E_MODEL", f"the model folder {folder} {what}", cure="name a folder with model.safetensors"
        )
    seen: dict[str, str] = {}
    for at, path in enumerate(folder.rglob("*")):
        if at >= MAX_FILES:
            raise ModelError(
                "E_TOO_MANY",
                f"the model folder {folder} holds more than {MAX_FILES:,} files",
                cure="name the folder of one model",
            )
        _check_entry(path, folder, seen)


def _check_entry(path: Path, folder: Path, seen: dict[str, str]) -> None:
    name = str(path.relative_to(folder))
    if path.is_symlink():
        raise ModelError(
            "E_PATH",
            f"{name} in the model folder is a link",
            cure="copy the file itself in its place",
            detail=name,
        )
    twin = seen.setdefault(name.casefold(), name)
    if twin != name:
        raise ModelError(
            "E_MODEL", f"{twin} and {name} differ only in case", cure="remove the one that is not the model's"
        )
    if path.suffix in PICKLES:
        _log.warning("%s is left alone: only safetensors, ONNX and JSON are read from a model folder", name)


def read(path: Path, *, limit: int = MAX_WEIGHTS_BYTES) -> Blob:
    """The bytes of a regular file through one descriptor, with their digest.

    Raises ModelError: missing, a link, not a regular file, empty, or larger than ``limit`` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ModelError(
            "E_MODEL",
            f"cannot open the model file {path}: {error.strerror}",
            cure="check the path; links are not followed",
            detail=path.name,
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("E_PATH", f"{path} is not a regular file", cure="name a regular file")
        if not 0 < status.st_size <= limit:
            raise ModelError(
                "E_MODEL",
                f"{path.name} has {status.st_size:,} bytes; 1 to {limit:,} are allowed",
                cure="fetch the model again",
                detail=path.name,
            )
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelError("E_MODEL", f"{path.name} grew beyond {limit:,} bytes", cure="fetch the model again")
    return Blob(path.name, data, hashlib.sha256(data).hexdigest())


def verify(blob: Blob, sha256: str) -> Blob:
    """The same blob, if its digest is the one expected; ModelError E_CORRUPT with both digests otherwise."""
    if blob.sha256 != sha256:
        raise ModelError(
            "E_CORRUPT",
            f"{blob.name} has sha256 {blob.sha256[:16]}…, expected {sha256[:16]}…",
            cure="install the model again",
            detail=blob.name,
        )
    return blob


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder, {} where the file is not there.

    Raises ModelError where it is not a JSON object.
    """
    return parse_json(read(path, limit=MAX_JSON_BYTES)) if path.exists() else {}


def parse_json(blob: Blob) -> dict[str, Any]:
    """The JSON object in ``blob``. Raises ModelError where there is none.

    >>> parse_json(Blob("config.json", b'{"hidden_size": 384}', ""))
    {'hidden_size': 384}
    """
    try:
        value = json.loads(blob.data)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            "E_MODEL", f"{blob.name} is not valid JSON", cure="fetch the model again", detail=blob.name
        ) from error
    if not isinstance(value, dict):
        raise ModelError("E_MODEL", f"{blob.name} is not a JSON object", cure="fetch the model again")
    return value
