"""Learned sparse retrieval: an inverted index of word pieces with weights, scored by dot product.

starts   [V + 1]  where each word piece's postings begin
rows     [nnz]    which chunk, by its place in ``keys``
weights  [nnz]    float16
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fingerpost.errors import ModelError

Keys = NDArray[np.int64]
Row = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True)
class Postings:
    """``keys`` int64 [n] ascending: the chunks that are in it; ``fingerprint`` names the model."""

    keys: Keys
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: NDArray[np.float16]
    fingerprint: str

    @classmethod
    def build(cls, keys: Keys, rows: Sequence[Row], *, vocabulary: int, fingerprint: str) -> Postings:
        """From each chunk's terms and weights.

        >>> row = (np.array([1, 3], np.int32), np.array([0.5, 2.0], np.float32))
        >>> made = Postings.build(np.array([7]), [row], vocabulary=5, fingerprint="f")
        >>> made.score(*row).tolist()
        [4.25]
        """
        order = np.argsort(keys)
        chosen = [rows[at] for at in order.tolist()]
        terms = np.concatenate([np.empty(0, np.int32), *(row[0] for row in chosen)]).astype(np.int64)
        weights = np.concatenate([np.empty(0, np.float32), *(row[1] for row in chosen)])
        owners = np.repeat(np.arange(len(chosen), dtype=np.int32), [len(row[0]) for row in chosen])
        by_term = np.argsort(terms, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(terms, minlength=vocabulary))])
        held = np.asarray(keys, np.int64)[order]
        return cls(held, starts, owners[by_term], weights[by_term].astype(np.float16), fingerprint)

    def only(self, keys: Keys) -> tuple[Keys, list[Row]]:
        """Those of the chunks that are in it, with their terms and weights: what a later one starts from."""
        terms = np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))
        by_row = np.argsort(self.rows, kind="stable")
        ends = np.cumsum(np.bincount(self.rows, minlength=len(self.keys)))
        kept = np.flatnonzero(np.isin(self.keys, keys))
        found = []
        for row in kept.tolist():
            own = by_row[ends[row - 1] if row else 0 : ends[row]]
            found.append((terms[own], self.weights[own].astype(np.float32)))
        return self.keys[kept], found

    def score(self, terms: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The dot product of a query with every chunk, float32 [n]."""
        total = np.zeros(len(self.keys), np.float32)
        for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
            start, end = self.starts[term], self.starts[term + 1]
            total[self.rows[start:end]] += np.float32(weight) * self.weights[start:end].astype(np.float32)
        return total

    def to_bytes(self) -> bytes:
        """The artifact: safetensors, with the fingerprint beside the arrays."""
        name = np.frombuffer(json.dumps(self.fingerprint).encode(), np.uint8).copy()
        arrays: dict[str, NDArray[np.generic]] = {
            "keys": self.keys,
            "starts": self.starts,
            "rows": self.rows,
            "weights": self.weights,
            "fingerprint": name,
        }
        return bytes(save(arrays))

    @classmethod
    def from_bytes(cls, data: bytes) -> Postings:
        """Read what ``to_bytes`` wrote. Raises ModelError E_MODEL on anything else."""
        try:
            arrays = load(data)
            fingerprint = str(json.loads(arrays.pop("fingerprint").tobytes()))
            found = cls(**arrays, fingerprint=fingerprint)
            fits = len(found.rows) == len(found.weights) == int(found.starts[-1])
            if not fits or found.rows.max(initial=-1) >= len(found.keys):
                raise ValueError("its arrays do not fit together")
        except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
            cure = "compile again with models.sparse"
            raise ModelError("E_MODEL", f"the sparse postings cannot be read: {error}", cure=cure) from error
        return found
