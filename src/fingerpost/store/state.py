"""What a Store holds in memory: the opened generation, which chunks stand, the tail; and how they follow
the ledger and MANIFEST.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import Unlabelled
from fingerpost.store import checkpoint, codec, ties
from fingerpost.store.access import Access
from fingerpost.store.disk import corrupt
from fingerpost.store.fresh import Encoded, Fresh
from fingerpost.store.generation import NAME, Generation, Manifest, Verify, read_manifest
from fingerpost.store.glance import Glance
from fingerpost.store.ledger import Head, Ledger
from fingerpost.store.live import Live
from fingerpost.store.permits import Permits
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.tail import Tail
from fingerpost.store.ties import Ties
from fingerpost.store.view import View
from fingerpost.text.tokens import analyze, codes

_TRIES = 5
_BLOCK = 8_192
"""Vectors of the tail that are read at once: a first build has all of them there."""


def tail_path(root: Path, number: int) -> Path:
    """The file of vectors that belongs to a generation."""
    return root / f"tail-{number:06d}.db"


@dataclass(frozen=True, slots=True)
class How:
    """How an index is opened: what is checked, whether it is written to, and whether documents without labels
    are hidden by a stricter rule than its own.
    """

    verify: Verify
    write: bool = False
    unlabelled: Unlabelled | None = None


class State:
    """The derived state of one opened index; all methods hold its lock."""

    def __init__(self, root: Path, ledger: Ledger, how: How) -> None:
        self.root, self.ledger, self.lock = root, ledger, RLock()
        self._how, self._write = how.verify, how.write
        meta = ledger.meta()
        self.dim = int(meta["dim"])
        self.context = meta["context"] == "1"
        self.access = Access(ledger, how.unlabelled)
        self._glance: Glance | None = None
        self._snapshot: Snapshot | None = None
        self._fresh_version = -1
        self._written = -1
        self._open_newest()

    def follow(self) -> None:
        """Catch up with MANIFEST and the ledger."""
        with self.lock:
            if self._write:
                if self.ledger.written != self._written:
                    self.acknowledged(self.ledger.head())
            elif self._glance is not None and self._glance.current():
                self._catch_up(self.ledger.head())
            else:
                self._open_newest()

    def acknowledged(self, head: Head) -> None:
        """Take in what this process wrote: ``head`` is what the ledger has now."""
        with self.lock:
            written = self.ledger.written
            self._catch_up(head)
            self._written = written

    def adopt(self, manifest: Manifest) -> None:
        """Go over to a generation that was just published."""
        with self.lock:
            generation = Generation(self.root, manifest, how="sizes")
            self._switch(generation)

    def _open_newest(self) -> None:
        for _ in range(_TRIES):
            glance = Glance(self.root / NAME)
            manifest = read_manifest(self.root / NAME)
            try:
                self._switch(Generation(self.root, manifest, how=self._how))
            except Exception:
                if not glance.current():  # published anew while it was being opened
                    continue
                raise
            self._glance = glance
            return
        raise corrupt(NAME, "it changes faster than it can be read")

    def _switch(self, generation: Generation) -> None:
        manifest = generation.manifest
        head = self.ledger.head()
        if manifest.seq > head.seq:
            raise corrupt("ledger.db", f"it ends at seq {head.seq}, MANIFEST names {manifest.seq}")
        live = self._begun(generation)
        old = getattr(self, "fresh", None)
        self.generation, self.live, self.tail = generation, live, self._empty_tail()
        self._snapshot = None
        if old is None or old.path != tail_path(self.root, manifest.tail):
            if old is not None:
                old.close()
            self.fresh = Fresh(tail_path(self.root, manifest.tail), dim=self.dim, write=self._write)
        self._catch_up(head)

    def _catch_up(self, head: Head) -> None:
        self._head = head
        if head.seq == self.live.seq and head.chain == self.live.chain:
            return
        self.live.apply(self.ledger.changes(self.live.seq, self.live.chain, head))
        self._snapshot = None

    def live_at(self, seq: int) -> Live:
        """The standing chunks as of an earlier seq of this generation."""
        live = self._begun(self.generation)
        changes = self.ledger.changes(live.seq, live.chain, self.ledger.head())
        live.apply(change for change in changes if change.seq <= seq)
        return live

    def encoded_live(self) -> Live:
        """The newest standing chunks that all have their vector: of now, or where a write is about to be
        encoded, of the seq before it.
        """
        live, base = self.live, self.generation.manifest.seq
        while self.dim and (lacking := self.fresh.lacking(live.fresh_keys, past=live is not self.live)):
            first = next(doc for doc, (at, count) in live.fresh.items() if at <= lacking[0] < at + count)
            came = self.ledger.versions([first])[first].valid_from
            if came <= base:
                break  # nothing before it can be folded either
            live = self.live_at(came - 1)
        return live

    def _begun(self, generation: Generation) -> Live:
        """What stands at a generation's own seq: its rows, or where it holds none, all of it fresh."""
        manifest = generation.manifest
        seq, chain = manifest.seq, bytes.fromhex(manifest.chain)
        versions = [] if manifest.folded else checkpoint.begun(self.ledger, seq, chain)
        fresh = {version.key: version.extent[1:] for version in versions}
        return Live(generation.rows, seq=seq, chain=chain, fresh=fresh)

    def snapshot(self) -> Snapshot:
        """A view of the newest state; the same one while nothing changes."""
        with self.lock:
            self.follow()
            if self._snapshot is None or self.fresh.version() != self._fresh_version:
                self._fresh_version = self.fresh.version()
                self._sync_tail()
                self._snapshot = self._pin()
            return self._snapshot

    @property
    def documents(self) -> int:
        """Standing documents."""
        return self._head.documents

    def permits(self) -> Permits:
        """What decides who sees what of this state."""
        return Permits(self.ledger, access=self.access, tokens=self.tokens)

    def _pin(self) -> Snapshot:
        view = View(self.generation, self.live.alive, self.tail.view(), self.live.seq, self.documents)
        return Snapshot(view, self.ledger, self.permits())

    def _empty_tail(self) -> Tail:
        return Tail(self.dim, self.terms, self._firsts)

    def _sync_tail(self) -> None:
        if self.tail.wasteful:
            self.tail = self._empty_tail()
        if self.tail.seq != self.live.seq:
            for doc in filter(self.tail.extents.__contains__, self.live.ended):
                self.tail.kill(doc)
            self.live.ended.clear()
            came = takewhile(lambda doc: doc not in self.tail.extents, reversed(self.live.fresh))
            for doc in sorted(came):
                first, count = self.live.fresh[doc]
                self.tail.append(doc, range(first, first + count))
            self.tail.seq = self.live.seq
        blank = self.tail.unencoded()
        if self.dim and blank:
            for key, row in self.fresh.get(blank).items():
                self.tail.encode(key, row.vector)

    def terms(self, keys: Sequence[int]) -> tuple[list[list[str]], list[list[str]]]:
        """Body terms and codes of chunks, as both lexical legs index them."""
        chunks = self.ledger.chunks(keys)
        passages = [codec.passage(chunk, context=self.context) for chunk in chunks]
        own = [codec.named(chunk, context=self.context) for chunk in chunks]
        return [analyze(text) for text in passages], [codes(text) for text in own]

    def ties(self, keys: NDArray[np.int64], docs: NDArray[np.int64]) -> Ties:
        """The tie of each standing chunk of these documents, for the next generation."""
        held, rows = self.generation.ties, self.generation.rows.of(keys)
        known = rows >= 0 if held is not None else np.zeros(len(keys), dtype=np.bool_)
        found = np.empty(len(keys), dtype=np.uint64)
        if held is not None:
            found[known] = held[rows[known]]
        distinct, which = np.unique(docs[~known], return_inverse=True)
        versions = self.ledger.versions(distinct.tolist())
        firsts = np.array([ties.first(versions[doc].doc_id) for doc in distinct.tolist()], dtype=np.uint64)
        starts = np.array([versions[doc].first_chunk for doc in distinct.tolist()], dtype=np.int64)
        found[~known] = ties.ties(firsts[which], keys[~known] - starts[which])
        return found

    def _firsts(self, docs: Sequence[int]) -> list[int]:
        owners = self.ledger.owners(docs)
        return [ties.first(owners[doc].doc_id) for doc in docs]

    def vectors(self, keys: NDArray[np.int64]) -> NDArray[np.float16]:
        """float16 [n, d] of standing chunks, from the base or the tail. Raises where one is missing."""
        rows = self.generation.rows.of(keys)
        found = np.empty((len(keys), self.dim), dtype=np.float16)
        found[rows >= 0] = self.generation.slices.exact[rows[rows >= 0]]
        later = np.flatnonzero(rows < 0)
        for start in range(0, len(later), _BLOCK):
            part = later[start : start + _BLOCK]
            fresh = self.fresh.get(keys[part].tolist())
            for at, key in zip(part.tolist(), keys[part].tolist(), strict=True):
                if key not in fresh:
                    raise corrupt(
                        f"the vector of chunk {key}", "it is missing; encode Store.missing_vectors()"
                    )
                found[at] = fresh[key].vector
        return found

    def encoded(self, keys: Sequence[int]) -> dict[int, Encoded]:
        """Vectors and token codes of chunks, from the base or the tail; what is missing is left out."""
        asked, generation = np.array(keys, dtype=np.int64), self.generation
        rows = generation.rows.of(asked)
        held = rows >= 0
        found = self.fresh.get(asked[~held].tolist())
        coded = "tokens.u8" in generation.manifest.files
        tokens = generation.tokens(rows[held]) if coded else [None] * int(held.sum())
        vectors = generation.slices.exact[rows[held]]
        for key, vector, coding in zip(asked[held].tolist(), vectors, tokens, strict=True):
            found[key] = Encoded(vector, None if coding is None else bytes(coding))
        return found

    def take_over(self, twins: Mapping[int, int]) -> set[int]:
        """Copy vectors of unchanged passages to their new chunks; returns the keys that have one now."""
        if not twins or not self.dim:
            return set()
        found = self.encoded(list(dict.fromkeys(twins.values())))
        rows = {new: found[old] for new, old in twins.items() if old in found}
        self.fresh.put(list(rows), rows.values())
        return set(rows)

    def tokens(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Token codes of chunks that were in a tail and may be folded by now; empty where there are none."""
        found = self.encoded(keys)
        return {int(key): (found[key].tokens or b"") if key in found else b"" for key in keys}

    def docs(self, keys: NDArray[np.int64], live: Live) -> NDArray[np.int64]:
        """The document key of each standing chunk."""
        rows = self.generation.rows.of(keys)
        firsts = np.array(
            sorted((first, doc) for doc, (first, count) in live.fresh.items() if count), dtype=np.int64
        )
        found = np.empty(len(keys), dtype=np.int64)
        found[rows >= 0] = self.generation.docs[rows[rows >= 0]]
        if len(firsts):
            at = np.searchsorted(firsts[:, 0], keys[rows < 0], side="right") - 1
            found[rows < 0] = firsts[at, 1]
        return found

    def close(self) -> None:
        """Let go of the files."""
        with self.lock:
            self._snapshot = None
            self.fresh.close()
            self.generation.release()
            if self._glance is not None:
                self._glance.release()
