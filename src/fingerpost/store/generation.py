"""A generation: immutable files that MANIFEST names with size and digest.

MANIFEST is the only thing that says which files an answer may use. It is replaced whole, carries its own
digest, and names the ledger's seq that its files cover. Generation 0 is an index before its first fold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError, FingerprintError, NotFoundError
from fingerpost.spread import side_by_side
from fingerpost.store.bm25 import FIELDS
from fingerpost.store.codec import dump
from fingerpost.store.disk import corrupt, named_errors, sha256
from fingerpost.store.disk import replace as replace_file
from fingerpost.store.lexical import FieldStatistics, Lexical
from fingerpost.store.live import Rows
from fingerpost.store.pins import pin
from fingerpost.store.ties import Ties
from fingerpost.store.vectors import Slices, load_slices

Verify = Literal["full", "sizes"]
ARTIFACTS = "artifacts/"
NAME = "MANIFEST"
FORMAT = 1
_SMALL = 1 << 22
"""Bytes that are read and hashed sooner than threads are started."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What MANIFEST says. ``files`` maps a path inside the generation to ``[size, sha256]``; ``chain`` is
    the ledger's log link at ``seq``; ``history`` lists older generations that are kept; ``tail`` numbers the
    file that holds the vectors of what came later; ``lexical`` has documents and average length by field.
    """

    generation: int
    seq: int
    chain: str
    dim: int
    fingerprint: str
    policy: str
    chunks: int = 0
    documents: int = 0
    leaves: int = 0
    tail: int = 0
    lexical: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    history: tuple[int, ...] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Readable JSON with its own digest."""
        body = asdict(self)
        body["digest"] = hashlib.sha256(dump(body).encode()).hexdigest()
        return (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @property
    def folder(self) -> str:
        """The folder's name."""
        return folder_name(self.generation)

    @property
    def folded(self) -> bool:
        """Whether it holds what stood at ``seq``: before the first fold and after a reset it does not."""
        return "keys.npy" in self.files


def folder_name(generation: int) -> str:
    """Where a generation lives.

    >>> folder_name(7)
    'gen-000007'
    """
    return f"gen-{generation:06d}"


def read_manifest(path: Path) -> Manifest:
    """Parse and check a MANIFEST. Raises NotFoundError, CorruptError, FingerprintError (newer format)."""
    with named_errors(path):
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(
                "E_NOT_FOUND", f"{path} does not exist", cure="make an index with `fingerpost compile`"
            ) from error
    try:
        body = json.loads(text)
        stated = body.pop("digest")
        if isinstance(body["format"], int) and body["format"] > FORMAT:
            raise FingerprintError(
                "E_FINGERPRINT",
                f"{path} has format {body['format']}; this program reads up to {FORMAT}",
                cure="open it with the newer fingerpost that made it",
            )
        if hashlib.sha256(dump(body).encode()).hexdigest() != stated:
            raise corrupt(path.name, "its digest does not match")
        files = {name: (int(size), str(digest)) for name, (size, digest) in body.pop("files").items()}
        lexical = {name: (int(count), float(mean)) for name, (count, mean) in body.pop("lexical").items()}
        return Manifest(**{**body, "history": tuple(body["history"])}, files=files, lexical=lexical)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise corrupt(path.name, f"it cannot be read ({type(error).__name__})") from error


def held(root: Path) -> list[Manifest]:
    """The manifests of the generations that can be opened, newest first. One of learned parts alone, from
    before the first fold, is there to go back to and no more: to open it, the tail of that time would have to
    be kept, all vectors a second time.
    """
    newest = read_manifest(root / NAME)
    found = [newest]
    for number in newest.history:
        try:
            older = read_kept(root, number)
        except CorruptError:
            continue  # then it is not held
        if older.chunks or not newest.chunks:
            found.append(older)
    return found


def read_kept(root: Path, number: int) -> Manifest:
    """The manifest of a generation that is kept to go back to. Raises CorruptError, also where it is gone."""
    name = f"{folder_name(number)}/{NAME}"
    try:
        return read_manifest(root / name)
    except NotFoundError as error:
        raise corrupt(name, "it is missing", kept=True) from error
    except CorruptError as error:
        why = error.message.removeprefix(f"{NAME} is damaged: ")
        raise corrupt(name, why, kept=True) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish: after this returns, ``manifest`` is what everybody opens."""
    replace_file(folder / NAME, manifest.to_bytes())


def write_alone(root: Path, manifest: Manifest) -> Manifest:
    """Publish ``manifest`` without the generation before it, which nothing can go back to then."""
    alone = replace(manifest, history=())
    if manifest.generation:
        replace_file(root / manifest.folder / NAME, alone.to_bytes())
    write_manifest(root, alone)
    return alone


def verify(folder: Path, manifest: Manifest, how: Verify) -> list[tuple[str, str]]:
    """``(file, problem)`` for every file of a generation that is not what MANIFEST says."""

    def examined(item: tuple[str, tuple[int, str]]) -> tuple[str, str]:
        return item[0], _problem(folder / item[0], item[1], how)

    if sum(size for size, _ in manifest.files.values()) < _SMALL:
        return [found for found in map(examined, manifest.files.items()) if found[1]]
    return [found for found in side_by_side(examined, list(manifest.files.items()), 2) if found[1]]


def _problem(path: Path, entry: tuple[int, str], how: Verify) -> str:
    size, digest = entry
    try:
        found = path.stat().st_size
        if found != size:
            return f"{found:,} bytes instead of {size:,}"
        return "" if how == "sizes" or sha256(path) == digest else "its digest does not match"
    except FileNotFoundError:
        return "it is missing"


class Generation:
    """The opened files of one generation. Arrays are mapped, never changed."""

    def __init__(self, root: Path, manifest: Manifest, *, how: Verify = "full") -> None:
        self.manifest = manifest
        self.folder = root / manifest.folder
        self.release = pin(root, manifest.generation, self)
        with named_errors(self.folder):
            for name, problem in verify(self.folder, manifest, how):
                raise corrupt(f"{manifest.folder}/{name}", problem)
        self.keys: NDArray[np.int64] = self._array("keys.npy", np.empty(0, dtype=np.int64))
        self.docs: NDArray[np.int64] = self._array("docs.npy", np.empty(0, dtype=np.int64))
        self.leaf_offsets: NDArray[np.int64] = self._array("leaf_offsets.npy", np.zeros(1, dtype=np.int64))
        self.graph: NDArray[np.int32] = self._array("graph.npy", np.empty((0, 0), dtype=np.int32))
        self._token_offsets: NDArray[np.int64] = self._array(
            "tokens.offsets.npy", np.zeros(1, dtype=np.int64)
        )
        self.ties: Ties | None = None
        if "ties.npy" in manifest.files or not len(self.keys):
            self.ties = self._array("ties.npy", np.empty(0, dtype=np.uint64))
        self.slices: Slices = load_slices(self.folder, count=len(self.keys), dim=manifest.dim)
        self.slices.ties = self.keys if self.ties is None else self.ties
        found = {name: FieldStatistics(*entry) for name, entry in manifest.lexical.items()}
        self.lexical = Lexical(self.folder / "lexical", found) if len(self.keys) else None
        self.rows = Rows(self.keys)
        self.lengths: NDArray[np.int32] | None = None
        if "lengths.npy" in manifest.files or not len(self.keys):
            self.lengths = self._array("lengths.npy", np.empty((0, len(FIELDS)), dtype=np.int32))

    def neighbours(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keys [n, width] of the chunks nearest to ``rows``; -1 = none."""
        if not len(self.graph):
            return np.full((len(rows), 0), -1, dtype=np.int64)
        near = np.asarray(self.graph[rows], dtype=np.int64)
        return np.where(near >= 0, self.keys[near], -1)

    def tokens(self, rows: NDArray[np.int64]) -> list[memoryview]:
        """The token codes of rows; empty where the generation has none."""
        if "tokens.u8" not in self.manifest.files:
            return [memoryview(b"")] * len(rows)
        starts, ends = self._token_offsets[rows].tolist(), self._token_offsets[rows + 1].tolist()
        return [self._tokens[start:end] for start, end in zip(starts, ends, strict=True)]

    def token_codes(
        self,
        keys: NDArray[np.int64],
        rows: NDArray[np.int64],
        later: Callable[[list[int]], Mapping[int, bytes]],
    ) -> list[bytes | memoryview]:
        """The token codes of chunks by key and row; ``later`` has those of chunks that are not held here (row
        −1).
        """
        held, fresh = iter(self.tokens(rows[rows >= 0])), later(keys[rows < 0].tolist())
        return [next(held) if row >= 0 else fresh[key] for key, row in zip(keys.tolist(), rows, strict=True)]

    @cached_property
    def _tokens(self) -> memoryview:
        if not self._token_offsets[-1]:
            return memoryview(b"")
        with (self.folder / "tokens.u8").open("rb") as file:
            return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))

    @cached_property
    def owners(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The distinct document keys, ascending, and for each row which one owns it."""
        distinct, which = np.unique(self.docs, return_inverse=True)
        return distinct, which

    @cached_property
    def _by_document(self) -> NDArray[np.int32]:
        return np.argsort(self.docs, kind="stable").astype(np.int32)

    def rows_of_documents(self, docs: NDArray[np.int64]) -> NDArray[np.int64]:
        """All rows of these documents."""
        order = self._by_document
        ascending = self.docs[order]
        starts = np.searchsorted(ascending, docs, side="left")
        ends = np.searchsorted(ascending, docs, side="right")
        runs = [order[start:end] for start, end in zip(starts, ends, strict=True)]
        return np.concatenate(runs).astype(np.int64) if runs else np.empty(0, dtype=np.int64)

    def leaf_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """The leaf of each row."""
        return (np.searchsorted(self.leaf_offsets, rows, side="right") - 1).astype(np.int32)

    def artifact(self, name: str) -> bytes | None:
        """The bytes of an artifact, checked when read; None when the generation has none of that name."""
        entry = self.manifest.files.get(ARTIFACTS + name)
        if entry is None:
            return None
        body = (self.folder / ARTIFACTS / name).read_bytes()
        if hashlib.sha256(body).hexdigest() != entry[1]:
            raise corrupt(f"{self.manifest.folder}/{ARTIFACTS}{name}", "its digest does not match")
        return body

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Names of the artifacts."""
        return tuple(
            sorted(n.removeprefix(ARTIFACTS) for n in self.manifest.files if n.startswith(ARTIFACTS))
        )

    def _array(self, name: str, default: NDArray[Any]) -> NDArray[Any]:
        if name not in self.manifest.files:
            return default
        try:
            return np.asarray(np.load(self.folder / name, mmap_mode="r", allow_pickle=False))
        except ValueError as error:
            raise corrupt(f"{self.manifest.folder}/{name}", str(error)) from error
