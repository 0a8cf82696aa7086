"""A snapshot for ``store.isolation = "strict"``: nothing it says depends on a document that may not be seen.

The shared snapshot never shows a hidden document, but its BM25 statistics (how many chunks, how long, how
many hold a term), its addresses and what was learned count all documents, so scores tell of hidden ones. Here
every statistic is taken over what the caller may see, and nothing learned or trained is used. The price: each
matching posting of a query's terms is read, and every visible vector is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import StoreError
from fingerpost.store import bm25
from fingerpost.store.permits import Allow
from fingerpost.store.scoring import NOTHING, ranked, settled
from fingerpost.store.snapshot import Keys, Scores, Snapshot, checked_k
from fingerpost.store.vectors import Mask, dots
from fingerpost.text.query import Query

_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Matches:
    """Where a term occurs among what may be seen: rows of base and tail, and how often."""

    base: NDArray[np.int64]
    base_counts: NDArray[np.int32]
    tail: NDArray[np.int64]
    tail_counts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.base) + len(self.tail)


class Isolated(Snapshot):
    """A view of what ``visible`` (None: everything) lets be seen. Numbers of generations are not told: they
    count writes to hidden documents too.
    """

    def __init__(self, whole: Snapshot, visible: Allow | None) -> None:
        super().__init__(whole._view, whole._ledger, whole._permits)
        base, self._tail = whole._masks(visible)
        rows = len(self._view.generation.keys)
        self._base: Mask = np.ones(rows, dtype=np.bool_) if base is None else base
        self._documents = whole.n_documents if visible is None else len(visible.documents)
        self._matches: dict[tuple[str, str], Matches] = {}

    @property
    def generation(self) -> int:
        """Always 0."""
        return 0

    @property
    def seq(self) -> int:
        """The ledger's seq; for reading only, no record carries it."""
        return self._view.seq

    @property
    def n_chunks(self) -> int:
        """Chunks that may be seen."""
        return int(self._base.sum()) + int(self._tail.sum())

    @property
    def n_documents(self) -> int:
        """Documents that may be seen."""
        return self._documents

    @property
    def n_fresh(self) -> int:
        """Chunks of the tail that may be seen."""
        return int(self._tail.sum())

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """See Snapshot.lexical; N, document frequencies and average lengths are those of what may be seen."""
        base, tail = self._narrowed(allow)
        base_scores, tail_scores = np.zeros(len(base), np.float32), np.zeros(len(tail), np.float32)
        wanted = [(bm25.BODY, term, 1.0) for term in query.terms]
        wanted += [(bm25.CODE, code, bm25.CODE_BOOST) for code in query.codes]
        for field, term, boost in wanted:
            found = self._find(field, term)
            weight = np.float32(boost * bm25.idf(self.n_chunks, len(found)))
            for scores, rows, counts, lengths in (
                (base_scores, found.base, found.base_counts, self._lengths[0]),
                (tail_scores, found.tail, found.tail_counts, self._lengths[1]),
            ):
                norms = _quantized(lengths[rows, bm25.FIELDS.index(field)])
                scores[rows] += weight * bm25.gains(counts, norms, average=self._averages[field])
        rows, fresh = np.flatnonzero((base_scores > 0) & base), np.flatnonzero((tail_scores > 0) & tail)
        base_hits, tail_hits = (rows, settled(base_scores[rows])), (fresh, settled(tail_scores[fresh]))
        return ranked(self._view, base_hits, tail_hits, checked_k(k))

    def dense(
        self,
        vector: NDArray[np.float32],
        *,
        k: int,
        leaves: NDArray[np.int32] | None = None,
        allow: Allow | None = None,
    ) -> tuple[Keys, Scores, int]:
        """See Snapshot.dense; always exact and over everything that may be seen, whatever ``leaves`` are."""
        self._check_vector(vector)
        base, tail = self._narrowed(allow)
        rows, half = np.flatnonzero(base), vector.astype(np.float16)
        exact = self._view.generation.slices.exact
        parts = [dots(half, exact[rows[at : at + _ROWS]]) for at in range(0, len(rows), _ROWS)]
        fresh = self._view.tail.dense(vector, tail)
        found = np.concatenate([*parts, NOTHING[1]])
        return (*ranked(self._view, (rows, found), fresh, checked_k(k)), len(rows) + len(fresh[0]))

    def idf(self, terms: Sequence[str]) -> Scores:
        """See Snapshot.idf, over what may be seen."""
        held = [bm25.idf(self.n_chunks, len(self._find(bm25.BODY, term))) for term in terms]
        return np.array(held, dtype=np.float32)

    def leaf_of(self, keys: Keys) -> NDArray[np.int32]:
        """-1: addresses were laid out over all documents."""
        return np.full(len(keys), -1, dtype=np.int32)

    def neighbours(self, keys: Keys) -> Keys:
        """None: the graph was made over all documents."""
        return np.empty((len(keys), 0), dtype=np.int64)

    def artifact(self, name: str) -> bytes | None:
        """None: artifacts are made from all documents."""
        return None

    def _narrowed(self, allow: Allow | None) -> tuple[Mask, Mask]:
        if allow is None:
            return self._base, self._tail
        base, tail = self._masks(allow)
        return self._base & (True if base is None else base), self._tail & tail

    @cached_property
    def _lengths(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Terms in each field, [rows, fields], of base and tail."""
        lengths = self._view.generation.lengths
        if lengths is None:
            raise StoreError(
                "E_FINGERPRINT",
                "this generation was published without the lengths that strict isolation needs",
                cure="run `fingerpost doctor --repair`",
            )
        tail = self._view.tail
        columns = [tail.tail.postings(name, tail.count).exact[: tail.count] for name in bm25.FIELDS]
        return lengths, np.array(columns, dtype=np.int32).reshape(len(columns), tail.count).T

    @cached_property
    def _averages(self) -> dict[str, float]:
        base, tail = self._lengths
        total = base[self._base].sum(axis=0, dtype=np.int64) + tail[self._tail].sum(axis=0, dtype=np.int64)
        return {
            name: float(count) / max(self.n_chunks, 1)
            for name, count in zip(bm25.FIELDS, total.tolist(), strict=True)
        }

    def _find(self, field: str, term: str) -> Matches:
        if (field, term) not in self._matches:
            rows, counts = self._in_base(field, term)
            tail = self._view.tail
            fresh, fresh_counts = tail.tail.postings(field, tail.count).find(term, tail.count)
            seen, fresh_seen = self._base[rows], self._tail[fresh]
            self._matches[field, term] = Matches(
                rows[seen], counts[seen], fresh[fresh_seen], fresh_counts[fresh_seen]
            )
        return self._matches[field, term]

    def _in_base(self, field: str, term: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows that hold a term and how often: tantivy gives no frequencies, but its score for one term is a
        known function of frequency and length, so that the frequency follows and is a whole number.
        """
        held = self._view.generation.lexical
        among = held.frequency(field, term) if held else 0
        if held is None or not among:
            return np.empty(0, np.int64), np.empty(0, np.int32)
        keys, scores = held.search([(field, term, 1.0)], limit=among)
        rows = self._view.generation.rows.of(keys)
        known = held.statistics[field]
        gain = scores.astype(np.float64) / bm25.idf(known.documents, among)
        lengths = _quantized(self._lengths[0][rows, bm25.FIELDS.index(field)])
        norm = bm25.K1 * (1.0 - bm25.B + bm25.B * lengths / max(known.average, 1e-9))
        return rows, np.rint(gain * norm / (bm25.K1 + 1.0 - gain)).astype(np.int32)


def _quantized(lengths: NDArray[np.int32]) -> NDArray[np.float32]:
    """Lengths as they count (see ``bm25.quantized``)."""
    return bm25.LENGTHS[np.searchsorted(bm25.LENGTHS, lengths, side="right") - 1].astype(np.float32)
