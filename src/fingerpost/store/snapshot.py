"""One pinned view: a generation, the tail and the tombstones as of one seq. All legs answer from it alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import NotFoundError, UsageError
from fingerpost.records import Chunk, Document
from fingerpost.store import scoring
from fingerpost.store.dates import day
from fingerpost.store.filters import Filter
from fingerpost.store.ledger import Ledger, Version
from fingerpost.store.permits import Allow, Permits
from fingerpost.store.ties import Ties
from fingerpost.store.vectors import Mask, runs_of
from fingerpost.store.view import View
from fingerpost.text.query import Query

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]
MAX_K = 100_000


class Snapshot:
    """Reads of one state. Chunks are named by key; ``allow`` restricts a leg before anything is scored."""

    def __init__(self, view: View, ledger: Ledger, permits: Permits) -> None:
        self._view, self._ledger, self._permits = view, ledger, permits
        self._days: dict[int, float] = {}

    @property
    def generation(self) -> int:
        """The generation's number; 0 before the first fold."""
        return self._view.generation.manifest.generation

    @property
    def seq(self) -> int:
        """The ledger's seq."""
        return self._view.seq

    @property
    def folded_seq(self) -> int:
        """The ledger's seq that the generation holds everything up to."""
        return self._view.generation.manifest.seq

    @property
    def dim(self) -> int:
        """Length of a vector; 0 without a model."""
        return self._view.generation.manifest.dim

    @property
    def n_chunks(self) -> int:
        """Standing chunks, tail included."""
        alive, base = self._view.alive, len(self._view.generation.keys)
        return (base if alive is None else int(alive.sum())) + int(self._view.tail.alive.sum())

    @property
    def n_documents(self) -> int:
        """Standing documents."""
        return self._view.documents

    @property
    def n_fresh(self) -> int:
        """Standing chunks in the tail."""
        return int(self._view.tail.alive.sum())

    @property
    def n_missing(self) -> int:
        """Standing chunks of the tail that the dense leg cannot see because they have no vector."""
        return self.missing(None)

    def missing(self, allow: Allow | None) -> int:
        """How many of the chunks that ``allow`` lets be seen have no vector."""
        return int((self._masks(allow)[1] & ~self._view.tail.encoded).sum()) if self.dim else 0

    @property
    def leaf_offsets(self) -> NDArray[np.int64]:
        """Where each leaf starts in the base's rows, [L + 1]."""
        return self._view.generation.leaf_offsets

    def allow(
        self, filter: Filter | str | Sequence[str] | None = None, principals: Sequence[str] | None = None
    ) -> Allow | None:
        """What a query may see; None means everything.

        A document with labels is visible only to principals that hold one of them; ``None`` and ``()`` hold
        none. Who sees documents without labels ``store.unlabelled`` says. Raises UsageError E_FILTER.
        """
        return self._permits.allow(self._view, filter, principals)

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """The best ``k`` chunks by BM25 over terms and codes, best first: keys [n], scores [n]."""
        base, tail = self._masks(allow)
        return scoring.lexical(self._view, query, k=checked_k(k), base=base, tail=tail)

    def dense(
        self,
        vector: NDArray[np.float32],
        *,
        k: int,
        leaves: NDArray[np.int32] | None = None,
        allow: Allow | None = None,
    ) -> tuple[Keys, Scores, int]:
        """The best ``k`` chunks by inner product with ``vector`` [d], in ``leaves`` (None: everywhere) and
        always in the tail: keys [n], scores [n], and how many chunks were scored.
        """
        self._check_vector(vector)
        base, tail = self._masks(allow)
        runs = runs_of(leaves, self.leaf_offsets)
        return scoring.dense(self._view, vector, k=checked_k(k), runs=runs, base=base, tail=tail)

    def vectors(self, keys: Keys) -> NDArray[np.float32]:
        """float32 [n, d]; zeros for a chunk that is not encoded yet."""
        rows, fresh = self._rows(keys)
        found = np.zeros((len(keys), self.dim), dtype=np.float32)
        found[rows >= 0] = self._view.generation.slices.exact[rows[rows >= 0]]
        found[fresh >= 0] = self._view.tail.tail.vectors[fresh[fresh >= 0]]
        return found

    def token_codes(self, keys: Keys) -> list[bytes | memoryview]:
        """The token codes of chunks as they were put; empty where there are none."""
        rows, _ = self._rows(keys)
        return self._view.generation.token_codes(keys, rows, self._permits.tokens)

    def neighbours(self, keys: Keys) -> Keys:
        """Keys [n, width] of the nearest chunks of each; -1 = none. Tombstones are left out."""
        rows, _ = self._rows(keys)
        held = self._view.generation
        near = held.neighbours(np.maximum(rows, 0)) if len(held.keys) else np.empty((len(keys), 0), np.int64)
        near[rows < 0] = -1
        if self._view.alive is not None and near.size:
            at = self._view.generation.rows.of(near.ravel()).reshape(near.shape)
            near[(at < 0) | ~self._view.alive[at]] = -1
        return near

    def doc_keys(self, keys: Keys) -> Keys:
        """The document key of each chunk."""
        rows, fresh = self._rows(keys)
        found = np.empty(len(keys), dtype=np.int64)
        found[rows >= 0] = self._view.generation.docs[rows[rows >= 0]]
        found[fresh >= 0] = self._view.tail.docs[fresh[fresh >= 0]]
        return found

    def ties(self, keys: Keys) -> Ties:
        """What equal scores of chunks are ordered by: the same in every index of the same documents. In a
        generation from before there were ties, the chunks' keys.
        """
        rows, fresh = self._rows(keys)
        return scoring.ties(self._view, np.asarray(keys), rows, fresh)

    def idf(self, terms: Sequence[str]) -> Scores:
        """BM25's idf of body terms [n] over base and tail; largest for a term that occurs nowhere."""
        return scoring.idf(self._view, terms)

    def leaf_of(self, keys: Keys) -> NDArray[np.int32]:
        """The leaf of each chunk; -1 for the tail."""
        rows, _ = self._rows(keys)
        return np.where(rows >= 0, self._view.generation.leaf_of(rows), -1).astype(np.int32)

    def permitted(self, keys: Keys, allow: Allow | None) -> Mask:
        """For each chunk whether it stands and ``allow`` lets it be seen."""
        rows, fresh = self._view.generation.rows.of(keys), self._view.tail.rows_of(keys)
        base, tail = self._masks(allow)
        found = np.zeros(len(keys), dtype=np.bool_)
        found[rows >= 0] = True if base is None else base[rows[rows >= 0]]
        found[fresh >= 0] = tail[fresh[fresh >= 0]]
        return found

    def keys(self, *, allow: Allow | None = None) -> Keys:
        """All standing chunks: the base in row order, then the tail."""
        base, tail = self._masks(allow)
        held = self._view.generation.keys
        return np.concatenate([held if base is None else held[base], self._view.tail.keys[tail]])

    def replaced(self, after: int) -> dict[int, int | None]:
        """Versions that ended after ``after``, oldest first, and their successors (None: deleted)."""
        return self._ledger.replaced(after, self.seq)

    def chunk_keys(self, doc_keys: Keys) -> Keys:
        """The standing chunks of documents, given by key; documents that stand no longer have none."""
        wanted = np.unique(np.asarray(doc_keys, dtype=np.int64))
        rows = self._view.generation.rows_of_documents(wanted)
        if self._view.alive is not None:
            rows = rows[self._view.alive[rows]]
        fresh = np.flatnonzero(self._view.tail.alive & np.isin(self._view.tail.docs, wanted))
        return np.concatenate([self._view.generation.keys[rows], self._view.tail.keys[fresh]])

    def chunks(self, keys: Keys | Sequence[int]) -> list[Chunk]:
        """Chunks with their text, in the order asked for."""
        return self._ledger.chunks([int(key) for key in keys])

    def document(self, doc_id: str, *, allow: Allow | None = None) -> Document:
        """The document as of this snapshot. Raises NotFoundError for one that is not there or not allowed
        (the same error).
        """
        return self._ledger.document(self._standing(doc_id, allow))

    def text(self, doc_id: str, start: int, end: int, *, allow: Allow | None = None) -> str:
        """Characters ``start:end`` of a document; only the pages that hold them are read."""
        return self._ledger.text(self._standing(doc_id, allow), start, end)

    def about(self, doc_keys: Iterable[int]) -> list[Document]:
        """Documents by key without their text (``text`` is empty): id, title, metadata, labels, sections."""
        keys = [int(key) for key in doc_keys]
        versions = self._ledger.versions(keys)
        return [self._ledger.about(versions[key]) for key in keys]

    def days(self, doc_keys: Keys) -> NDArray[np.float64]:
        """When documents were last changed, as their metadata say (``modified``, an ISO date or time): days
        since 1970, [n]. NaN for one that does not say, or not in this way. What was read once is kept.
        """
        wanted = doc_keys.tolist()
        unknown = {key for key in wanted if key not in self._days}
        for key, version in self._ledger.versions(unknown).items():
            self._days[key] = day(json.loads(version.metadata).get("modified"))
        return np.array([self._days[key] for key in wanted], np.float64)

    def documents(self, doc_keys: Iterable[int]) -> list[Document]:
        """Documents by key, text and all."""
        keys = [int(key) for key in doc_keys]
        versions = self._ledger.versions(keys)
        return [self._ledger.document(versions[key]) for key in keys]

    def doc_key(self, doc_id: str, *, allow: Allow | None = None) -> int:
        """The key of the version of ``doc_id`` that stands. Raises NotFoundError."""
        return self._standing(doc_id, allow).key

    def artifact(self, name: str) -> bytes | None:
        """An artifact of the generation, its digest checked; None when there is none of that name."""
        return self._view.generation.artifact(name)

    def _standing(self, doc_id: str, allow: Allow | None) -> Version:
        version = self._ledger.standing(doc_id, self.seq)
        if version is None or (allow is not None and version.key not in allow.documents):
            raise NotFoundError(
                "E_NOT_FOUND",
                f"no document {doc_id!r}",
                cure="take the id from `fingerpost search --json`",
                detail=doc_id,
            )
        return version

    def _rows(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows, fresh = self._view.generation.rows.of(np.asarray(keys)), self._view.tail.rows_of(keys)
        lost = (rows < 0) & (fresh < 0)
        if lost.any():
            raise NotFoundError(
                "E_NOT_FOUND",
                f"no chunk {int(np.asarray(keys)[lost][0])}",
                cure="take keys from this snapshot",
            )
        return rows, fresh

    def _masks(self, allow: Allow | None) -> tuple[Mask | None, Mask]:
        if allow is None:
            return self._view.alive, self._view.tail.alive
        if allow.of is not self._view:
            raise UsageError("E_USAGE", "this Allow is of another snapshot", cure="ask this snapshot for one")
        return allow.base, allow.tail

    def _check_vector(self, vector: NDArray[np.float32]) -> None:
        if vector.shape != (self.dim,) or not self.dim:
            raise UsageError(
                "E_USAGE",
                f"the query vector has shape {vector.shape}, the index {self.dim} dimensions",
                cure="encode the query with the index's model",
            )
        if not np.isfinite(vector).all() or not vector.any() or float(np.abs(vector).max()) > 1e4:
            raise UsageError(
                "E_RANGE",
                "the query vector is zero, too large or not finite",
                cure="send a normalised vector",
            )


def checked_k(k: int) -> int:
    """``k`` within its limits. Raises UsageError E_RANGE."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_K:
        raise UsageError("E_RANGE", f"k = {k!r} is not from 1 to {MAX_K:,}", cure="ask for fewer")
    return int(k)
