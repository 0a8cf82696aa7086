"""What a build looks up while it writes: straight from the generation and the ledger.

A snapshot pins a view that can be searched, and so keeps the words of everything that is not folded yet in
memory. A build that has just read a whole corpus must not: it asks here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Chunk, Value
from fingerpost.store.ledger import DOCUMENT, checked_version
from fingerpost.store.state import State

_PAGE = 1_000


class Desk:
    """Reads of the newest state without a view of it. Its generation is the one that was published when it
    was made, whole: another thread may publish the next one meanwhile.
    """

    def __init__(self, state: State) -> None:
        self._state, self._generation = state, state.generation

    @property
    def generation(self) -> int:
        """The number of the generation that is published."""
        return self._generation.manifest.generation

    @property
    def seq(self) -> int:
        """The newest acknowledged seq that this process has followed."""
        return self._state.live.seq

    @property
    def hides_unlabelled(self) -> bool:
        """Whether documents without labels are hidden from everybody."""
        return self._state.access.hides()

    @property
    def unheeded(self) -> str:
        """What is said of a laxer rule on them in the settings; empty where there is none."""
        return self._state.access.unheeded()

    @property
    def n_missing(self) -> int:
        """Standing chunks without a vector."""
        with self._state.lock:
            fresh = self._state.live.fresh_keys
            return len(self._state.fresh.lacking(fresh)) if self._state.dim else 0

    @property
    def last_pair(self) -> int:
        """The number of the newest training pair, 0 before the first."""
        return self._state.ledger.last_pair()

    @property
    def n_fresh(self) -> int:
        """Standing chunks that the generation does not hold."""
        with self._state.lock:
            return len(self._state.live.fresh_keys)

    @property
    def n_folded(self) -> int:
        """Chunks that the generation holds, also those that stand no longer."""
        return len(self._state.generation.keys)

    @property
    def folded(self) -> bool:
        """Whether the generation holds everything that stands, and nothing else."""
        manifest = self._state.generation.manifest
        return manifest.seq == self._state.live.seq and bool(len(self._state.generation.keys))

    @property
    def dim(self) -> int:
        """Length of a vector; 0 without a model."""
        return self._state.dim

    @property
    def leaf_offsets(self) -> NDArray[np.int64]:
        """Where the leaves of the generation's sorted rows begin and end: [L + 1]."""
        return self._generation.leaf_offsets

    def graph_of(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
        """The generation's neighbour graph, and each chunk's row in it (-1: not there); None without one."""
        rows = self._generation.rows
        return (self._generation.graph, rows.of(keys)) if len(self._generation.graph) else None

    def artifact(self, name: str) -> bytes | None:
        """An artifact of the generation; None when there is none of that name."""
        return self._generation.artifact(name)

    def chunks(self, keys: NDArray[np.int64] | Sequence[int]) -> list[Chunk]:
        """Chunks with their text, in the order asked for."""
        with self._state.lock:
            return self._state.ledger.chunks([int(key) for key in keys])

    def standing(self) -> Iterator[tuple[str, Mapping[str, Value], tuple[str, ...]]]:
        """Id, metadata and flags of every standing document, in the order in which their versions came."""
        sql = (
            f"SELECT {DOCUMENT} FROM documents WHERE key > ? AND valid_to IS NULL ORDER BY key LIMIT {_PAGE}"
        )
        after = 0
        while rows := self._state.ledger.rows(sql, (after,)):
            versions = [checked_version(row) for row in rows]
            after = versions[-1].key
            for version in versions:
                yield version.doc_id, json.loads(version.metadata), tuple(json.loads(version.flags))

    def stands(self, doc_id: str) -> bool:
        """Whether there is such a document."""
        with self._state.lock:
            return self._state.ledger.live(doc_id) is not None

    def chunks_of(self, doc_id: str) -> list[Chunk]:
        """The chunks of a standing document, in reading order; none where there is no such document."""
        with self._state.lock:
            version = self._state.ledger.live(doc_id)
            if version is None:
                return []
            first, count = version.first_chunk, version.chunk_count
            return self._state.ledger.chunks(range(first, first + count))

    def replaced(self, until: int) -> dict[int, int | None]:
        """Document versions that ended since the generation and by seq ``until``, oldest first, each with its
        successor.
        """
        with self._state.lock:
            return self._state.ledger.replaced(self._generation.manifest.seq, until)

    def leaf_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The leaf of each chunk in the generation; -1 for one that is newer."""
        rows = self._generation.rows.of(keys)
        leaves = self._generation.leaf_of(np.maximum(rows, 0)).astype(np.int64)
        return np.where(rows >= 0, leaves, -1)
