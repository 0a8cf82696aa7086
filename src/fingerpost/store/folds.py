"""Publishing: fold the tail into the next generation, change its artifacts, go back, clean up.

Generations are numbered upwards and no number is used twice, also when going back.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError, NotFoundError, UsageError
from fingerpost.store.disk import corrupt, sync_folder
from fingerpost.store.disk import replace as replace_file
from fingerpost.store.fresh import Fresh
from fingerpost.store.generation import (
    ARTIFACTS,
    NAME,
    Manifest,
    folder_name,
    held,
    read_kept,
    read_manifest,
    write_alone,
    write_manifest,
)
from fingerpost.store.live import Live
from fingerpost.store.pins import pinned
from fingerpost.store.publish import (
    Layout,
    Sources,
    check_names,
    link_all,
    measure,
    new_folder,
    seal,
    write_artifacts,
    write_generation,
)
from fingerpost.store.schema import shrink
from fingerpost.store.state import State, tail_path
from fingerpost.store.writes import Writer
from fingerpost.text.counts import counted

log = logging.getLogger(__name__)
_BATCH, _FEW = 500, 64
_OURS = re.compile(r"(?:gen|tail)-(\d{6,})(?:\.db(?:-wal|-shm)?)?")


class Folds:
    """The publishing side of a writer."""

    def __init__(self, state: State, writer: Writer) -> None:
        self._state, self._writer, self._root = state, writer, state.root
        self._reach = writer.points.reach

    def publish(self, layout: Layout, between: Callable[[], object]) -> int:
        """Write and publish the next generation. Searches and updates go on meanwhile; ``between`` is called
        every few chunks whose words are found.
        """
        state = self._state
        before = state.generation
        with state.lock:
            seq = state.live.seq if layout.seq is None else layout.seq
            live = state.live_at(seq)
        layout = replace(layout, keys=np.asarray(layout.keys, dtype=np.int64), seq=seq)
        with self._writer.ledger.lock:
            shrink(self._writer.connection)
        layout.check(live.keys)
        self._check_encoded(live)
        number = before.manifest.generation + 1
        self._reach("fold.begun")
        with self._folder(number) as folder:
            sources = self._sources(live, between)
            files = write_generation(
                folder, layout=layout, sources=sources, before=before, dead=live.dead_keys
            )
            self._reach("fold.sealed")
            documents = self._documents(layout, number)
            lexical = measure(self._root, number, len(layout.keys))
        manifest = replace(
            before.manifest,
            generation=number,
            seq=seq,
            chain=live.chain.hex(),
            chunks=len(layout.keys),
            documents=documents,
            leaves=len(layout.leaf_offsets) - 1,
            tail=number,
            history=self._history(),
            lexical=lexical,
            files=files,
        )
        self._publish(manifest)
        self._writer.purge(min(before.manifest.seq, oldest_read(self._root)))
        self._reach("fold.purged")
        return number

    def republish(self, artifacts: Mapping[str, bytes], *, drop: Iterable[str] = ()) -> int:
        """Publish the same slices with these artifacts in the place of those of the same name."""
        check_names(artifacts)
        before = self._state.generation
        number = before.manifest.generation + 1
        gone = {*artifacts, *drop}
        with self._folder(number) as folder:
            (folder / ARTIFACTS).mkdir()
            if before.folder.is_dir():
                link_all(before.folder, folder)
            for name in gone:
                (folder / ARTIFACTS / name).unlink(missing_ok=True)
            (folder / NAME).unlink(missing_ok=True)
            write_artifacts(folder, artifacts)
            files = seal(folder)
            _check_same(before.manifest, files, apart=gone)
        self._reach("promote.sealed")
        self._publish(replace(before.manifest, generation=number, history=self._history(), files=files))
        return number

    def rollback(self) -> int:
        """Publish the generation before this one again, under a new number. What was written since then
        stays: it is in the tail. Raises NotFoundError when none is kept, CorruptError when it is damaged.
        """
        now = self._state.generation.manifest
        if not now.history:
            raise NotFoundError(
                "E_NOT_FOUND",
                f"generation {now.generation} has no predecessor",
                cure="nothing to roll back to",
            )
        old = read_kept(self._root, now.history[0])
        number = now.generation + 1
        with self._folder(number) as folder:
            link_all(self._root / old.folder, folder)
            (folder / NAME).unlink(missing_ok=True)
            files = seal(folder)
        for name in sorted({*files, *old.files}):
            if files.get(name) != old.files.get(name):
                raise corrupt(f"{old.folder}/{name}", "it is not what was published", kept=True)
        self._reach("rollback.sealed")
        self._publish(replace(old, generation=number, tail=number, history=self._history()))
        return number

    def forget(self) -> None:
        """Keep the published generation alone, and in the ledger what stands."""
        with self._state.lock:
            manifest = write_alone(self._root, self._state.generation.manifest)
            self._state.adopt(manifest)
            self._writer.purge(min(manifest.seq, oldest_read(self._root)))
            self._writer.give_back()
        self.clean()

    def _publish(self, manifest: Manifest) -> None:
        state = self._state
        try:
            self._writer.lock.check()
            replace_file(self._root / manifest.folder / NAME, manifest.to_bytes())
            self._reach("publish.named")
            with state.lock:
                self._writer.lock.check()
                if manifest.tail != state.generation.manifest.tail:
                    self._carry_over(manifest)
                self._reach("publish.carried")
                self._writer.lock.check()
                write_manifest(self._root, manifest)
                self._reach("publish.published")
                state.adopt(manifest)
            self._reach("publish.adopted")
        finally:
            self.clean()

    def _carry_over(self, manifest: Manifest) -> None:
        """Give the next tail file the vectors of chunks that the next generation does not hold: of those that
        stand, and of those that came after it and ended, since they are part of the past that it begins.
        """
        state = self._state
        keys = state.live.keys
        if manifest.folded:
            held = np.load(self._root / manifest.folder / "keys.npy", allow_pickle=False)
            keys = np.setdiff1d(np.concatenate([keys, self._came(manifest)]), held)
        path = tail_path(self._root, manifest.tail)
        fresh = Fresh(path, dim=state.dim, write=True)
        try:
            for at in range(0, len(keys) if state.dim else 0, _BATCH):
                rows = state.encoded(keys[at : at + _BATCH].tolist())
                fresh.put(list(rows), rows.values())
        finally:
            fresh.close()
        sync_folder(self._root)

    def _came(self, manifest: Manifest) -> NDArray[np.int64]:
        """Keys of all chunks that came after a generation."""
        changes = self._state.ledger.changes(
            manifest.seq, bytes.fromhex(manifest.chain), self._state.ledger.head()
        )
        runs = [np.arange(at, at + count) for change in changes for _, at, count in change.came.tolist()]
        return np.concatenate(runs) if runs else np.empty(0, dtype=np.int64)

    def clean(self) -> None:
        """Remove what MANIFEST does not name and nobody reads."""
        self._writer.lock.check()
        sweep(self._root, keep=self._state.generation.manifest.generation)

    def _folder(self, number: int) -> AbstractContextManager[Path]:
        return new_folder(self._root, number, self._writer.lock)

    def _history(self) -> tuple[int, ...]:
        """What the next generation can go back to; the empty one that a repair begins with has no folder."""
        now = self._state.generation.manifest
        return (now.generation,) if now.files else ()

    def _check_encoded(self, live: Live) -> None:
        if not self._state.dim:
            return
        lacking = self._state.fresh.lacking(live.fresh_keys, past=live.seq != self._state.live.seq)
        if lacking:
            raise UsageError(
                "E_USAGE",
                f"{counted(len(lacking), 'chunk')} without a vector",
                cure="encode Store.missing_vectors() first",
            )

    def _documents(self, layout: Layout, number: int) -> int:
        docs = np.load(self._root / folder_name(number) / "docs.npy", allow_pickle=False)
        return len(np.unique(docs))

    def _sources(self, live: Live, between: Callable[[], object]) -> Sources:
        state = self._state
        return Sources(
            docs=lambda keys: state.docs(keys, live),
            ties=state.ties,
            vectors=state.vectors if state.dim else None,
            tokens=self._tokens if self._has_tokens(live) else None,
            postings=partial(self._postings, between),
        )

    def _has_tokens(self, live: Live) -> bool:
        held = "tokens.u8" in self._state.generation.manifest.files
        return held or any(self._state.tokens(live.fresh_keys[:_BATCH].tolist()).values())

    def _tokens(self, keys: NDArray[np.int64]) -> list[bytes | memoryview]:
        held = self._state.generation
        return held.token_codes(keys, held.rows.of(keys), self._state.tokens)

    def _postings(
        self, between: Callable[[], object], keys: NDArray[np.int64]
    ) -> Iterator[tuple[int, str, str]]:
        for at in range(0, len(keys), _FEW):
            between()
            part = keys[at : at + _FEW].tolist()
            body, named = self._state.terms(part)
            for key, terms, codes in zip(part, body, named, strict=True):
                yield key, " ".join(terms), " ".join(codes)


def _check_same(before: Manifest, files: Mapping[str, tuple[int, str]], *, apart: Collection[str]) -> None:
    """Refuse files taken over whose digests are not what they were: they would pass as whole ever after."""
    for name, entry in before.files.items():
        if name.removeprefix(ARTIFACTS) not in apart and files.get(name) != entry:
            raise corrupt(f"{before.folder}/{name}", "its digest does not match")


def oldest_read(root: Path) -> int:
    """The least seq that a view of any generation may be of; the newest where nobody reads."""
    numbers = {0, *_generations(root)}
    seqs = [0 if not number else _seq(root, number) for number in pinned(root, numbers)]
    return min(seqs, default=_seq(root, None))


def _seq(root: Path, number: int | None) -> int:
    folder = root if number is None else root / folder_name(number)
    try:
        return read_manifest(folder / NAME).seq
    except (CorruptError, NotFoundError):
        return 0


def _generations(root: Path) -> set[int]:
    return {int(path.name[4:]) for path in root.glob("gen-*") if path.name[4:].isdigit()}


def sweep(root: Path, *, keep: int = 0) -> None:
    """Remove generations, tails and half-written files that MANIFEST does not name and nobody reads."""
    try:
        manifest = read_manifest(root / NAME)
    except (CorruptError, NotFoundError):
        return  # opening will say so
    kept = {manifest.generation, *manifest.history, keep, *pinned(root, _generations(root))}
    tails = {each.tail for each in held(root)}
    for path in sorted(root.iterdir()):
        match = _OURS.fullmatch(path.name)
        stale = match and int(match[1]) not in (kept if path.is_dir() else tails)
        if stale or path.name == NAME + ".new":
            log.info("removing %s", path.name)
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
