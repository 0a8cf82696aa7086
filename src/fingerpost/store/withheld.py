"""A snapshot in which some chunks read otherwise: as if a sentence had never stood in them.

A question made from a document is answered by the words that it was made of, which no user's question is. So
while it is replayed for training, its own words are withheld from the chunks that it was made from: BM25, the
vectors, the token codes and the text are those of what is left. All other chunks and all statistics stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Chunk
from fingerpost.store import bm25, scoring
from fingerpost.store.permits import Allow
from fingerpost.store.scoring import best, settled
from fingerpost.store.snapshot import Keys, Scores, Snapshot, checked_k
from fingerpost.text.query import Query
from fingerpost.text.tokens import analyze, codes


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A chunk as it reads now: its text, vector [d] and token codes (empty where the index keeps none)."""

    chunk: Chunk
    vector: Scores
    codes: bytes = b""


class Withheld(Snapshot):
    """A view of ``whole`` with the chunks ``instead`` (by key) rewritten."""

    def __init__(self, whole: Snapshot, instead: Mapping[int, Rewritten]) -> None:
        super().__init__(whole._view, whole._ledger, whole._permits)
        self._instead = dict(sorted(instead.items()))
        self._changed = np.array(list(self._instead), dtype=np.int64)

    def lexical(self, query: Query, *, k: int, allow: Allow | None = None) -> tuple[Keys, Scores]:
        """See Snapshot.lexical; rewritten chunks have the scores of the words they still hold."""
        found = super().lexical(query, k=checked_k(k) + len(self._changed), allow=allow)
        scores = np.array([self._bm25(query, one.chunk) for one in self._instead.values()], np.float32)
        return self._merged(*found, settled(scores), (scores > 0) & self.permitted(self._changed, allow), k)

    def dense(
        self,
        vector: NDArray[np.float32],
        *,
        k: int,
        leaves: NDArray[np.int32] | None = None,
        allow: Allow | None = None,
    ) -> tuple[Keys, Scores, int]:
        """See Snapshot.dense; rewritten chunks lie where they lay."""
        keys, scores, count = super().dense(
            vector, k=checked_k(k) + len(self._changed), leaves=leaves, allow=allow
        )
        seen = self.permitted(self._changed, allow)
        if leaves is not None:
            seen &= np.isin(self.leaf_of(self._changed), [-1, *leaves.tolist()])
        return (*self._merged(keys, scores, self.vectors(self._changed) @ vector, seen, k), count)

    def vectors(self, keys: Keys) -> NDArray[np.float32]:
        """See Snapshot.vectors."""
        found = super().vectors(keys)
        for at in np.flatnonzero(np.isin(keys, self._changed)).tolist():
            found[at] = self._instead[int(keys[at])].vector
        return found

    def token_codes(self, keys: Keys) -> list[bytes | memoryview]:
        """See Snapshot.token_codes."""
        found = super().token_codes(keys)
        for at in np.flatnonzero(np.isin(keys, self._changed)).tolist():
            found[at] = self._instead[int(keys[at])].codes
        return found

    def chunks(self, keys: Keys | Sequence[int]) -> list[Chunk]:
        """See Snapshot.chunks."""
        asked = [int(key) for key in keys]
        found = zip(asked, super().chunks(asked), strict=True)
        return [self._instead[key].chunk if key in self._instead else chunk for key, chunk in found]

    def _merged(
        self, keys: Keys, scores: Scores, own: Scores, seen: NDArray[np.bool_], k: int
    ) -> tuple[Keys, Scores]:
        others = ~np.isin(keys, self._changed)
        named = np.concatenate([keys[others], self._changed[seen]])
        found = np.concatenate([scores[others], own[seen]]).astype(np.float32)
        return best(named, found, self.ties(named), k)

    def _bm25(self, query: Query, chunk: Chunk) -> float:
        terms = scoring.rarest(self._view, query.terms)
        body = self._field(bm25.BODY, terms, analyze(chunk.passage))
        return body + bm25.CODE_BOOST * self._field(bm25.CODE, query.codes, codes(chunk.own))

    def _field(self, field: str, wanted: Sequence[str], held: Sequence[str]) -> float:
        if not wanted or not held:
            return 0.0
        counted = Counter(held)
        counts = np.array([counted[term] for term in wanted], np.int32)
        lengths = np.full(len(wanted), bm25.quantized(len(held)), np.float32)
        average = scoring.averages(self._view)[field]
        gains = bm25.gains(counts, lengths, average=average)
        return float(scoring.idf(self._view, wanted, field=field) @ gains)
