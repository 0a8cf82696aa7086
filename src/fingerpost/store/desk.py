"""What a build looks up while it writes: straight from the generation and the ledger.

A snapshot pins a view that can be searched, and so keeps the words of everything that is not folded yet in
memory. A build that has just read a whole corpus must not: it asks here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Chunk
from fingerpost.store.state import State


class Desk:
    """Reads of the newest state without a view of it."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def generation(self) -> int:
        """The number of the generation that is published."""
        return self._state.generation.manifest.generation

    @property
    def n_missing(self) -> int:
        """Standing chunks without a vector."""
        with self._state.lock:
            fresh = self._state.live.fresh_keys.tolist()
            return len(self._state.fresh.lacking(fresh)) if self._state.dim else 0

    @property
    def n_fresh(self) -> int:
        """Standing chunks that the generation does not hold."""
        return len(self._state.live.fresh_keys)

    @property
    def folded(self) -> bool:
        """Whether the generation holds everything that stands, and nothing else."""
        manifest = self._state.generation.manifest
        return manifest.seq == self._state.live.seq and bool(len(self._state.generation.keys))

    def artifact(self, name: str) -> bytes | None:
        """An artifact of the generation; None when there is none of that name."""
        return self._state.generation.artifact(name)

    def chunks(self, keys: NDArray[np.int64] | Sequence[int]) -> list[Chunk]:
        """Chunks with their text, in the order asked for."""
        with self._state.lock:
            return self._state.ledger.chunks([int(key) for key in keys])

    def replaced(self) -> dict[int, int | None]:
        """Document versions that ended since the generation, oldest first, each with its successor."""
        with self._state.lock:
            return self._state.ledger.replaced(self._state.generation.manifest.seq, self._state.live.seq)

    def leaf_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The leaf of each chunk in the generation; -1 for one that is newer."""
        rows = self._state.generation.rows.of(keys)
        leaves = self._state.generation.leaf_of(np.maximum(rows, 0)).astype(np.int64)
        return np.where(rows >= 0, leaves, -1)
