"""The tail in memory: chunks newer than the generation, in every leg, always searched.

Rows are only ever appended; what a snapshot sees is a count of rows and masks of its own, so that searches
go on while rows are added. Two legs: float16 vectors in one growing matrix, and inverted lists whose BM25
uses the base's statistics plus the tail's (see ``bm25``). The lists are filled when the lexical leg is first
asked, so that a bulk load that only folds never tokenizes a text twice.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from fingerpost.store import bm25
from fingerpost.store.ties import Ties, ties
from fingerpost.store.vectors import Mask, dots

_FIRST = 64
_BATCH = 500

Terms = Callable[[Sequence[int]], tuple[list[list[str]], list[list[str]]]]
"""Body terms and codes of chunks by key."""
Firsts = Callable[[Sequence[int]], Sequence[int]]
"""The tie of the first chunk of documents by key (``ties``)."""


@dataclass(slots=True)
class Postings:
    """The inverted lists of one field: term → rows and counts; the (quantized) length of each row."""

    rows: dict[str, array[int]] = field(default_factory=dict)
    counts: dict[str, array[int]] = field(default_factory=dict)
    lengths: array[int] = field(default_factory=lambda: array("l"))
    exact: array[int] = field(default_factory=lambda: array("l"))

    def append(self, terms: Sequence[str]) -> None:
        """Add the next row."""
        row = len(self.lengths)
        for term, count in Counter(terms).items():
            self.counts.setdefault(term, array("l")).append(count)
            self.rows.setdefault(term, array("l")).append(row)
        self.lengths.append(bm25.quantized(len(terms)))
        self.exact.append(len(terms))

    def find(self, term: str, until: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows below ``until`` that hold ``term``, ascending, and how often."""
        rows = np.array(self.rows.get(term, ())[:], dtype=np.int64)
        rows = rows[: int(np.searchsorted(rows, until))]
        return rows, np.array(self.counts.get(term, ())[: len(rows)], dtype=np.int32)


@dataclass(frozen=True, slots=True)
class TailView:
    """What one snapshot sees of the tail: rows below ``count`` where ``alive``; ``encoded`` rows have a
    vector.
    """

    tail: Tail
    count: int
    alive: Mask
    encoded: Mask

    @property
    def keys(self) -> NDArray[np.int64]:
        """Chunk keys [count] (dead rows included), ascending but for vectors that came late."""
        return self.tail.keys[: self.count]

    @property
    def docs(self) -> NDArray[np.int64]:
        """Document keys [count]."""
        return self.tail.docs[: self.count]

    def rows_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the tail for chunk keys; -1 where it holds no such standing chunk."""
        at = self.tail.row_of
        if not at:
            return np.full(len(keys), -1, dtype=np.int64)
        rows = np.array([at.get(int(key), -1) for key in keys], dtype=np.int64)
        rows[rows >= self.count] = -1
        held = np.flatnonzero(rows >= 0)
        rows[held[~self.alive[rows[held]]]] = -1
        return rows

    def ties(self, rows: NDArray[np.int64]) -> Ties:
        """What equal scores of ``rows`` are ordered by."""
        known = self.tail.ties(self.count)
        return np.array([known[row] for row in rows.tolist()], dtype=np.uint64)

    def dense(self, query: NDArray[np.float32], mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows with a vector where ``mask`` is true, and their scores."""
        rows, vectors = np.flatnonzero(mask & self.encoded), self.tail.vectors[: self.count]
        half = query.astype(np.float16)
        if 2 * len(rows) > self.count:  # a product costs less than a copy of its row
            return rows, dots(half, vectors)[rows]
        return rows, dots(half, vectors[rows])

    def frequency(self, name: str, term: str) -> int:
        """In how many standing chunks of the tail ``term`` occurs."""
        rows, _ = self.tail.postings(name, self.count).find(term, self.count)
        return int(self.alive[rows].sum())

    def average(self, name: str) -> float:
        """Average length of the standing chunks in a field that hold anything in it."""
        exact = np.array(self.tail.postings(name, self.count).exact[: self.count], dtype=np.float64)[
            self.alive
        ]
        return float(exact.mean()) if len(exact) else 0.0

    def lexical(
        self, clauses: Sequence[tuple[str, str, float]], averages: dict[str, float], mask: Mask
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows that match where ``mask`` is true, and their scores; a clause's weight holds its idf."""
        scores = np.zeros(self.count, dtype=np.float32)
        for name, term, weight in clauses:
            postings = self.tail.postings(name, self.count)
            rows, counts = postings.find(term, self.count)
            if len(rows):
                lengths = np.array(postings.lengths[: self.count], dtype=np.float32)[rows]
                scores[rows] += np.float32(weight) * bm25.gains(counts, lengths, average=averages[name])
        rows = np.flatnonzero((scores > 0) & mask)
        return rows, scores[rows]


class Tail:
    """The growing arrays behind the views."""

    def __init__(self, dim: int, terms: Terms, firsts: Firsts) -> None:
        self._terms, self._firsts, self._filling, self._filled = terms, firsts, Lock(), 0
        self._ties: array[int] = array("Q")
        self.count = 0
        self.seq = -1
        """Of which seq the chunks are that it holds."""
        self.keys = np.empty(_FIRST, dtype=np.int64)
        self.docs = np.empty(_FIRST, dtype=np.int64)
        self.alive = np.zeros(_FIRST, dtype=np.bool_)
        self.encoded = np.zeros(_FIRST, dtype=np.bool_)
        self.vectors = np.zeros((_FIRST, dim), dtype=np.float16)
        self._fields = {name: Postings() for name in bm25.FIELDS}
        self.row_of: dict[int, int] = {}
        self.extents: dict[int, tuple[int, int]] = {}

    def append(self, doc: int, keys: Sequence[int]) -> None:
        """Add the chunks of a version; their vectors follow with ``encode``."""
        self._grow(self.count + len(keys))
        self.extents[doc] = (self.count, len(keys))
        for key in keys:
            row = self.count
            self.keys[row], self.docs[row], self.alive[row], self.encoded[row] = key, doc, True, False
            self.row_of[key] = row
            self.count += 1

    def postings(self, name: str, until: int) -> Postings:
        """The inverted lists of a field, filled for the rows below ``until``."""
        with self._filling:
            while self._filled < until:
                keys = self.keys[self._filled : min(until, self._filled + _BATCH)].tolist()
                for body, named in zip(*self._terms(keys), strict=True):
                    self._fields[bm25.BODY].append(body)
                    self._fields[bm25.CODE].append(named)
                self._filled += len(keys)
        return self._fields[name]

    def ties(self, until: int) -> array[int]:
        """The tie of each row below ``until``; a view ends where a document does."""
        with self._filling:
            docs = self.docs[len(self._ties) : until]
            if len(docs):
                starts = np.flatnonzero(np.diff(docs, prepend=-1))
                counts = np.diff(starts, append=len(docs))
                firsts = np.array(self._firsts(docs[starts].tolist()), dtype=np.uint64)
                places = np.arange(len(docs)) - np.repeat(starts, counts)
                self._ties.extend(ties(np.repeat(firsts, counts), places).tolist())
        return self._ties

    def encode(self, key: int, vector: NDArray[np.float16]) -> None:
        """Give a chunk its vector."""
        row = self.row_of[key]
        self.vectors[row] = vector
        self.encoded[row] = True

    def unencoded(self) -> list[int]:
        """Keys of standing chunks without a vector."""
        rows = np.flatnonzero(self.alive[: self.count] & ~self.encoded[: self.count])
        return [int(key) for key in self.keys[rows]]

    def kill(self, doc: int) -> None:
        """The chunks of a version stand no longer (older views keep seeing them)."""
        start, count = self.extents.pop(doc)
        self.alive[start : start + count] = False

    def view(self) -> TailView:
        """What stands now, for one snapshot to keep."""
        n = self.count
        return TailView(self, n, self.alive[:n].copy(), self.encoded[:n].copy())

    @property
    def wasteful(self) -> bool:
        """Whether most rows are dead, so that building the tail anew pays."""
        return self.count > 4 * _FIRST and int(self.alive[: self.count].sum()) < self.count // 2

    def _grow(self, need: int) -> None:
        if need <= len(self.keys):
            return
        size = max(need, 2 * len(self.keys))
        for name in ("keys", "docs", "alive", "encoded", "vectors"):
            old = getattr(self, name)
            new = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
