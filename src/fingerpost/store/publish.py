"""Writing a generation: a folder of new files, each on disk before MANIFEST names it.

Killed at any moment, the folder is an orphan that nothing names; the next writer removes it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import UsageError
from fingerpost.store.bm25 import BODY
from fingerpost.store.disk import corrupt, named_errors, save, sha256, sync_file, sync_folder
from fingerpost.store.generation import ARTIFACTS, Generation, folder_name, verify
from fingerpost.store.lexical import Lexical, write_lexical
from fingerpost.store.lock import WriterLock
from fingerpost.store.ties import Ties
from fingerpost.store.vectors import quantize
from fingerpost.text.counts import counted

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")
_ROWS = 8_192
_SMALL = 20_000
"""Chunks that are tokenized again in some three seconds, a tenth of what encoding a fold's worth takes."""
_DRIFT = 0.05
"""Share of removed chunks in the lexical statistics from which they are made anew."""
_LOCKS = frozenset({".tantivy-writer.lock", ".tantivy-meta.lock"})

Halves = NDArray[np.float16]
VectorsOf = Callable[[NDArray[np.int64]], Halves]
TokensOf = Callable[[NDArray[np.int64]], Sequence[bytes | memoryview]]
PostingsOf = Callable[[NDArray[np.int64]], Iterable[tuple[int, str, str]]]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the next generation lies: ``keys`` int64 [N], every standing chunk once, in row order;
    ``leaf_offsets`` int [L + 1] from 0 to N; ``graph`` int32 [N, width] of rows (-1 = none), if any;
    ``artifacts`` by name; ``seq`` the state that the keys describe.
    """

    keys: NDArray[np.int64]
    leaf_offsets: NDArray[np.int32] | NDArray[np.int64]
    seq: int | None = None
    graph: NDArray[np.int32] | None = None
    artifacts: Mapping[str, bytes] = field(default_factory=dict)

    def check(self, standing: NDArray[np.int64]) -> None:
        """Refuse a layout that does not hold exactly the standing chunks."""
        count = len(self.keys)
        steps = np.diff(self.leaf_offsets)
        whole = len(self.leaf_offsets) and self.leaf_offsets[0] == 0 and self.leaf_offsets[-1] == count
        if not whole or (steps < 0).any():
            raise _misfit(f"leaf_offsets must rise from 0 to {count}")
        if not np.array_equal(np.sort(self.keys), standing):
            raise _misfit(f"{count} keys are not the {len(standing)} standing chunks of seq {self.seq}")
        if self.graph is not None and (
            self.graph.ndim != 2
            or len(self.graph) != count
            or (self.graph.size and self.graph.max() >= count)
        ):
            raise _misfit(f"graph {self.graph.shape} does not fit {count} rows")
        check_names(self.artifacts)


def check_names(artifacts: Mapping[str, bytes]) -> None:
    """An artifact's name is a plain file name."""
    for name in artifacts:
        if not _NAME.fullmatch(name):
            raise _misfit(f"{name!r} is not a plain file name")


def _misfit(why: str) -> UsageError:
    return UsageError("E_USAGE", f"this layout cannot be published: {why}", cure="make it from Store.live()")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the bytes of the next generation come from, by chunk key; ``docs`` gives document keys, ``ties``
    takes both.
    """

    docs: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ties: Callable[[NDArray[np.int64], NDArray[np.int64]], Ties]
    vectors: VectorsOf | None
    tokens: TokensOf | None
    postings: PostingsOf


Files = dict[str, tuple[int, str]]
Lengths = dict[int, tuple[int, int]]
"""Terms and codes of chunks by key."""


def write_generation(
    folder: Path, *, layout: Layout, sources: Sources, before: Generation, dead: NDArray[np.int64]
) -> Files:
    """Write a generation into its new folder; returns its files for MANIFEST.

    ``before`` is the generation whose lexical segments are taken over, less the keys ``dead``.
    """
    (folder / ARTIFACTS).mkdir()
    (folder / "lexical").mkdir()
    with _from_whole(before):
        _write_arrays(folder, layout, sources)
        if len(layout.keys):
            lengths = _write_lexical(folder / "lexical", layout, sources, before, dead)
            _write_lengths(folder, layout, before, lengths)
    write_artifacts(folder, layout.artifacts)
    return seal(folder)


@contextmanager
def _from_whole(before: Generation) -> Iterator[None]:
    """What was read of a generation meanwhile was whole: damage since it was opened would be copied, and get
    a digest of its own. Where something went wrong as well, the damage is what is told.
    """
    try:
        yield
    finally:
        for name, problem in verify(before.folder, before.manifest, "full"):
            raise corrupt(f"{before.manifest.folder}/{name}", problem)


@contextmanager
def new_folder(root: Path, number: int, lock: WriterLock) -> Iterator[Path]:
    """An empty folder for a generation; what was written is removed again when writing fails, unless another
    writer may have made a folder of that name by now.
    """
    folder = root / folder_name(number)
    lock.check()
    with named_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        except BaseException:
            lock.check()
            shutil.rmtree(folder, ignore_errors=True)
            raise


def measure(root: Path, number: int, chunks: int) -> dict[str, tuple[int, float]]:
    """Documents and average length by field of a written generation, for MANIFEST."""
    if not chunks:
        return {}
    held = Lexical(root / folder_name(number) / "lexical")
    if held.documents != chunks:
        raise corrupt("lexical", f"it holds {counted(held.documents, 'chunk')} instead of {chunks:,}")
    return {name: (found.documents, found.average) for name, found in held.statistics.items()}


def _write_arrays(folder: Path, layout: Layout, sources: Sources) -> None:
    save(folder / "keys.npy", [npy(layout.keys.astype("<i8"))])
    docs = sources.docs(layout.keys)
    save(folder / "docs.npy", [npy(docs.astype("<i8"))])
    save(folder / "ties.npy", [npy(sources.ties(layout.keys, docs).astype("<u8"))])
    save(folder / "leaf_offsets.npy", [npy(layout.leaf_offsets.astype("<i8"))])
    if layout.graph is not None:
        save(folder / "graph.npy", [npy(layout.graph.astype("<i4"))])
    if sources.vectors is not None and len(layout.keys):
        _write_vectors(folder, layout.keys, sources.vectors)
    if sources.tokens is not None and len(layout.keys):
        _write_tokens(folder, layout.keys, sources.tokens)


def _write_vectors(folder: Path, keys: NDArray[np.int64], vectors: VectorsOf) -> None:
    scales = []

    def blocks(codes: io.BufferedWriter) -> Iterator[bytes]:
        for part in _parts(keys):
            exact = vectors(part)
            coded, scale = quantize(exact)
            codes.write(coded.tobytes())
            scales.append(scale)
            yield exact.astype("<f2").tobytes()

    with (folder / "vectors.i8").open("xb") as codes:
        save(folder / "vectors.f16", blocks(codes))
        codes.flush()
        os.fsync(codes.fileno())
    save(folder / "vectors.scale", [np.concatenate(scales).astype("<f4").tobytes()])


def _write_tokens(folder: Path, keys: NDArray[np.int64], tokens: TokensOf) -> None:
    lengths = [0]

    def blocks() -> Iterator[bytes | memoryview]:
        for part in _parts(keys):
            codes = tokens(part)
            lengths.extend(map(len, codes))
            yield b"".join(codes)

    save(folder / "tokens.u8", blocks())
    save(folder / "tokens.offsets.npy", [npy(np.cumsum(lengths).astype("<i8"))])


def _write_lexical(
    folder: Path, layout: Layout, sources: Sources, before: Generation, dead: NDArray[np.int64]
) -> Lengths:
    """Returns how many terms each new chunk has in each field."""
    lengths: Lengths = {}

    def noted(postings: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
        for key, body, codes in postings:
            lengths[key] = len(body.split()), len(codes.split())
            yield key, body, codes

    new, gone = np.setdiff1d(layout.keys, before.keys), dead.tolist()
    if _stale(before, dead):
        new, gone = np.sort(layout.keys), []
    elif len(before.keys):
        link_all(before.folder / "lexical", folder)
    try:
        write_lexical(folder, noted(sources.postings(new)), without=gone)
    except ValueError as error:  # tantivy reports a full or failing disk so
        raise OSError(28 if _full(folder) else 5, str(error)) from error
    return lengths


def _write_lengths(folder: Path, layout: Layout, before: Generation, new: Lengths) -> None:
    """Terms of each row by field, int32 [N, 2]; none where the generation before has none to go on with."""
    fresh = np.array([key in new for key in layout.keys.tolist()], dtype=np.bool_)
    lengths = np.empty((len(fresh), 2), dtype="<i4")
    if not fresh.all():
        if before.lengths is None:
            return
        lengths[~fresh] = before.lengths[before.rows.of(layout.keys[~fresh])]
    if new:
        lengths[fresh] = [new[key] for key in layout.keys[fresh].tolist()]
    save(folder / "lengths.npy", [npy(lengths)])


def _stale(before: Generation, dead: NDArray[np.int64]) -> bool:
    """Whether tantivy counts so many removed chunks in its statistics (it does until it merges segments of
    its own accord) that rankings drift from those of an index compiled from scratch: then it is written anew.
    """
    if before.lexical is None:
        return False
    counted = before.lexical.statistics[BODY].documents
    removed = counted - before.lexical.documents + len(dead)
    return removed > (0 if counted <= _SMALL else _DRIFT * counted)


def _full(folder: Path) -> bool:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < 4_000_000


def link_all(source: Path, target: Path) -> None:
    """Give the files of ``source`` a second name in ``target``; the JSON that tantivy rewrites is copied."""
    for path in sorted(source.iterdir()):
        if path.is_dir():
            (target / path.name).mkdir(exist_ok=True)
            link_all(path, target / path.name)
        elif path.name.endswith(".json"):
            shutil.copyfile(path, target / path.name)
        elif path.name not in _LOCKS:
            os.link(path, target / path.name)


def write_artifacts(folder: Path, artifacts: Mapping[str, bytes]) -> None:
    """Write artifacts, new names only."""
    for name, body in artifacts.items():
        save(folder / ARTIFACTS / name, [body])


def seal(folder: Path) -> Files:
    """Make every file durable; returns name → (size, sha256)."""
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
        elif path.name not in _LOCKS:
            sync_file(path)
            files[path.relative_to(folder).as_posix()] = (path.stat().st_size, sha256(path))
    sync_folder(folder)
    sync_folder(folder.parent)
    return files


def npy(values: NDArray[np.generic]) -> bytes:
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _parts(keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for at in range(0, len(keys), _ROWS):
        yield keys[at : at + _ROWS]
