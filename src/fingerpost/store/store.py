"""The evidence store: one writer, many readers, one pinned view a query.

    kb/ledger.db        the only truth (SQLite, write-ahead log, synchronous = FULL)
    kb/HEAD             the newest acknowledged seq, so that a ledger that lost its end is noticed
    kb/tail-000007.db   derived: vectors of chunks newer than generation 7
    kb/gen-000007/      immutable files of a generation
    kb/MANIFEST         names the generation, with every file's size and digest
    kb/LOCK             the writer's lock
    kb/PINS             which generations are read, and must be kept
    kb/BALLAST          room for deletes on a full disk

A write is one ledger transaction, on disk before the call returns, and visible to the next snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from errno import EIO
from pathlib import Path
from sqlite3 import SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE
from threading import RLock
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import Settings, Unlabelled
from fingerpost.errors import DiskError, FingerprintError, UsageError
from fingerpost.records import Chunk, Document, Pair
from fingerpost.store import access, ballast, codec, headmark, pins
from fingerpost.store.check import Finding, check, check_empty, status
from fingerpost.store.checkpoint import GENESIS
from fingerpost.store.desk import Desk
from fingerpost.store.disk import make_folder, named_errors
from fingerpost.store.folds import Folds, sweep
from fingerpost.store.fresh import Encoded
from fingerpost.store.generation import Manifest, Verify, write_manifest
from fingerpost.store.ledger import Ledger
from fingerpost.store.live import Standing, among
from fingerpost.store.lock import WriterLock
from fingerpost.store.past import AsOf, opened
from fingerpost.store.points import Points
from fingerpost.store.publish import Layout
from fingerpost.store.puts import PutResult, Puts
from fingerpost.store.schema import shrink
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.state import How
from fingerpost.store.writes import EMPTY, Named, Writer, create_ledger

_UNKNOWN = {SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_WRITE}  # what is on the disk, then?
_NOWHERE = Points()


class Store:
    """An index folder. Use as a context manager, or ``close`` it."""

    def __init__(
        self,
        path: Path,
        *,
        write: bool,
        verify: Verify,
        points: Points,
        as_of: AsOf | None = None,
        unlabelled: Unlabelled | None = None,
    ) -> None:
        self.path, self._points = path, points
        self._lock = WriterLock(path) if write else None
        self._failed = ""
        try:
            if write:
                pins.prepare(path)
                sweep(path)
            self._ledger = Ledger(path / "ledger.db", write=write)
            try:
                how = How(verify, write=write, unlabelled=unlabelled)
                self._state = opened(path, self._ledger, how, as_of)
            except BaseException:
                self._ledger.close()
                raise
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self._writer = None if self._lock is None else Writer(self._ledger, points, self._lock)
        self._fold_lock = RLock()
        if self._writer is not None:
            ballast.take_on(path)
            self._folds = Folds(self._state, self._writer)
        self._meta = self._ledger.meta()

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        fingerprint: str,
        dim: int,
        settings: Settings | None = None,
        policy: str = "",
        points: Points = _NOWHERE,
    ) -> Store:
        """Make an empty index and open it for writing. ``dim`` 0 means no model: the dense leg is empty.

        Raises UsageError E_EXISTS when the folder holds an index.
        """
        root, chosen = Path(path), settings or Settings()
        with named_errors(root):
            make_folder(root)
        lock = WriterLock(root)
        try:
            check_empty(root)
            meta = {
                "fingerprint": fingerprint,
                "dim": str(dim),
                "policy": policy,
                "context": "1" if chosen.compile.context else "0",
                **access.begun(chosen),
                "settings": chosen.model_dump_json(),
            }
            create_ledger(root / "ledger.db", meta)
            headmark.mark(root, EMPTY)
            write_manifest(root, Manifest(0, 0, GENESIS.hex(), dim, fingerprint, policy))
        finally:
            lock.release()
        return cls(root, write=True, verify="full", points=points)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        write: bool = False,
        fingerprint: str | None = None,
        policy: str | None = None,
        verify: Verify = "full",
        points: Points = _NOWHERE,
        as_of: AsOf | None = None,
        unlabelled: Unlabelled | None = None,
    ) -> Store:
        """Open an index, or for reading only what it was ``as_of`` an earlier moment. Of its own rule on
        documents without labels and ``unlabelled`` the stricter holds.

        Raises NotFoundError (E_NOT_HELD for a moment that is not kept), CorruptError, LockedError (another
        writer), FingerprintError (made with another model, ``fingerprint``, or masking policy).
        """
        if write and as_of is not None:
            raise UsageError("E_USAGE", "the past cannot be written to", cure="leave out as_of, or write")
        store = cls(Path(path), write=write, verify=verify, points=points, as_of=as_of, unlabelled=unlabelled)
        for name, given in (("fingerprint", fingerprint), ("policy", policy)):
            if given is not None and given != store._meta[name]:
                store.close()
                raise FingerprintError(
                    "E_FINGERPRINT",
                    f"{path} was made with {name} {store._meta[name][:16]!r}, not {given[:16]!r}",
                    cure="open it with the model and settings that made it, or compile into a new folder",
                )
        return store

    def put(
        self,
        documents: Iterable[tuple[Document, Sequence[Chunk]]],
        pairs: Iterable[Pair] = (),
        *,
        instead_of: Sequence[str] = (),
    ) -> PutResult:
        """Add or update documents with their chunks, in one transaction; the last of two with one id wins.
        ``pairs`` go with them as in ``add_pairs``, unless no document changed.

        An unchanged document is left alone. A changed one becomes a new version; its unchanged passages keep
        their vectors. Labels change only where the incoming document carries labels. Raises InputError for a
        document that cannot be kept (nothing is written then), DiskError.
        """
        taken = {document.doc_id: (document, chunks) for document, chunks in documents}
        for document, chunks in taken.values():
            codec.check_input(document, chunks)
        with self._writing() as writer:
            work = Puts(writer, self._state.context)
            with writer.transaction() as batch:
                for document, chunks in taken.values():
                    work.put(batch, document, chunks)
                if work.added or work.updated:
                    writer.keep_pairs(list(pairs), instead_of=instead_of)
            self._acknowledge()
            kept = self._state.take_over(work.twins)
        wanted = {key: text for key, text in work.passages.items() if self.dim and key not in kept}
        keys = np.array(list(wanted), dtype=np.int64)
        return PutResult(
            self._state.live.seq, work.added, work.updated, work.unchanged, keys, tuple(wanted.values())
        )

    def put_vectors(
        self,
        keys: NDArray[np.int64] | Sequence[int],
        vectors: NDArray[np.floating[Any]],
        tokens: Sequence[bytes] | None = None,
    ) -> None:
        """Give chunks their vectors [n, d] (kept as float16) and token codes. Keys that stand no longer, or
        that a generation holds already, are passed over.
        """
        given = np.asarray(vectors)
        if given.shape != (len(keys), self.dim) or not np.isfinite(given).all():
            raise UsageError(
                "E_USAGE",
                f"vectors {given.shape} are not {len(keys)} finite rows of {self.dim}",
                cure="encode the passages with the index's model",
            )
        codes: Sequence[bytes | None] = [None] * len(keys) if tokens is None else tokens
        with self._writing():
            known = among(np.asarray(keys, dtype=np.int64), self._state.live.fresh_keys)
            rows = [Encoded(given[at].astype(np.float16), codes[at]) for at in np.flatnonzero(known).tolist()]
            self._state.fresh.put([int(key) for key, k in zip(keys, known, strict=True) if k], rows)

    def missing_vectors(
        self, limit: int = 1_000, *, apart: Collection[int] = frozenset()
    ) -> list[tuple[int, str]]:
        """Up to ``limit`` standing chunks without a vector, ``apart`` from those that are being encoded: key
        and passage to encode.
        """
        if not self.dim:
            return []
        with self._state.lock:
            lacking = self._state.fresh.lacking(self._state.live.fresh_keys)
            keys = [key for key in lacking if key not in apart][:limit]
            chunks = self._ledger.chunks(keys)
        context = self._state.context
        return [(key, codec.passage(c, context=context)) for key, c in zip(keys, chunks, strict=True)]

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Delete documents, with their training pairs, in one transaction; returns how many there were.
        They are gone for every later snapshot when this returns. On a full disk a reserve is used up.
        """
        names = list(dict.fromkeys(doc_ids))
        try:
            return self._delete(names)
        except DiskError as error:
            ballast.drop(self.path, error)
            return self._delete(names)

    def _delete(self, names: Sequence[str]) -> int:
        with self._writing() as writer:
            with writer.transaction() as batch:
                for version in filter(None, map(self._ledger.live, names)):
                    writer.end(batch, version)
                writer.drop_pairs(names)
            self._acknowledge()
        return len(batch.went)

    def relabel(self, labels: Mapping[str, tuple[str, ...] | None]) -> int:
        """Set access labels of documents by doc_id, in one transaction; returns how many changed."""
        with self._writing() as writer:
            with writer.transaction() as batch:
                changed = 0
                for doc_id, given in labels.items():
                    version, text = self._ledger.live(doc_id), codec.dump_labels(given)
                    if version is not None and version.labels != text:
                        writer.relabel(batch, version, text)
                        changed += 1
            self._acknowledge()
        return changed

    def add_pairs(self, pairs: Iterable[Pair], *, instead_of: Sequence[str] = (), after: int = 0) -> int:
        """Keep training pairs, numbered beyond ``after``. Those of their documents of ``instead_of`` go."""
        with self._writing() as writer:
            return writer.add_pairs(pairs, instead_of=instead_of, after=after)

    def forget_pairs(self, after: int, origins: Sequence[str], named: Named = None) -> int:
        """Forget pairs of these origins after number ``after``, or of those the (query, doc_id) ``named``."""
        with self._writing() as writer:
            return writer.forget_pairs(after, origins, named)

    def pairs(self) -> Iterator[Pair]:
        """The training pairs kept."""
        return self._ledger.pairs()

    def live(self, *, encoded: bool = False) -> Standing:
        """The standing chunks, from which a Layout is made: of now, or of the newest seq at which all were
        ``encoded``, where somebody else writes meanwhile.
        """
        with self._state.lock:
            live = self._state.encoded_live() if encoded else self._state.live
            return Standing(live.seq, live.keys, self._state.docs(live.keys, live))

    def vectors(self, keys: NDArray[np.int64]) -> NDArray[np.float16]:
        """float16 [n, d] of standing chunks. Raises CorruptError where one is not encoded."""
        with self._state.lock:
            return self._state.vectors(keys)

    @contextmanager
    def folding(self) -> Iterator[None]:
        """Nobody else publishes meanwhile: whoever wants to waits. Writes go on. May be nested."""
        with nullcontext() if self._writer is None else self._writing(exclusive=False):
            yield

    def publish(self, layout: Layout, *, between: Callable[[], object] = lambda: None) -> int:
        """Fold: publish the next generation as ``layout`` says; its number. ``between`` lets searches by."""
        with self._writing(exclusive=False):
            return self._folds.publish(layout, between)

    def republish(self, artifacts: Mapping[str, bytes], *, drop: Iterable[str] = ()) -> int:
        """Publish the same slices with new artifacts (same names are replaced, ``drop`` goes)."""
        with self._writing(exclusive=False):
            return self._folds.republish(artifacts, drop=drop)

    def rollback(self) -> int:
        """Publish the generation before this one again; returns its new number."""
        with self._writing(exclusive=False):
            return self._folds.rollback()

    def forget(self) -> None:
        """Let go of the generation before this one and of versions that ended, and give back their room."""
        with self._writing(exclusive=False):
            self._folds.forget()

    @property
    def desk(self) -> Desk:
        """Look-ups for who writes, without a view that could be searched."""
        return Desk(self._state)

    def snapshot(self) -> Snapshot:
        """A view of the newest acknowledged state, this process's or another's; it never changes."""
        return self._state.snapshot()

    def status(self) -> dict[str, int | str]:
        """Counts and versions."""
        with self._state.lock:
            return status(self._state)

    def check(self) -> list[Finding]:
        """Verify every file and record; an empty list means that all is whole."""
        with self._state.lock:
            self._state.follow()
            return check(self._state)

    @property
    def dim(self) -> int:
        """Length of a vector; 0 without a model."""
        return self._state.dim

    @property
    def fingerprint(self) -> str:
        """The model the index was made with."""
        return self._meta["fingerprint"]

    @property
    def policy(self) -> str:
        """Digest of the masking policy the index was made with."""
        return self._meta["policy"]

    @property
    def settings(self) -> Settings:
        """The settings the index was made with."""
        return access.settings(self._meta)

    def close(self) -> None:
        """Let go of files and lock; safe to call twice."""
        self._state.close()
        self._ledger.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, exclusive: bool = True) -> Iterator[Writer]:
        """The writer, one call at a time. After a failing disk nothing is written until the index is opened
        again, because nobody knows what is on the disk.
        """
        if self._writer is None:
            raise UsageError("E_USAGE", f"{self.path} is open for reading", cure="open it with write=True")
        if self._failed:
            raise DiskError(
                "E_DISK", f"writing stopped: {self._failed}", cure="mend the disk and open it again"
            )
        try:
            with self._state.lock if exclusive else self._fold_lock:
                self._writer.lock.check()
                yield self._writer
        except DiskError as error:
            cause = error.__cause__
            if getattr(cause, "sqlite_errorcode", 0) in _UNKNOWN or getattr(cause, "errno", 0) == EIO:
                self._failed = error.message
            with self._ledger.lock:
                shrink(self._ledger.connection)
            raise

    def _acknowledge(self) -> None:
        head = self._ledger.head()
        headmark.mark(self.path, head)
        self._points.reach("ledger.marked")
        self._state.acknowledged(head)
