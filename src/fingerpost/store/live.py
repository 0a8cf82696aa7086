"""Which chunks stand: a generation's rows less tombstones, plus the versions that came after it.

This is the replay of the ledger's log from the generation's seq on; it knows extents, no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.store.ledger import Change

Extent = tuple[int, int]
"""First chunk key, chunk count."""


def among(keys: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each key is one of ``ascending`` ones: costs the keys, not how many there are to look among.

    >>> among(np.array([3, 9]), np.array([1, 3, 5])).tolist()
    [True, False]
    """
    if not len(ascending):
        return np.zeros(len(keys), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return np.asarray(ascending[at] == keys, dtype=np.bool_)


class Rows:
    """From chunk keys to a generation's rows."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self.ascending = np.asarray(keys)[self._order]

    def of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each key; -1 for a key that the generation does not hold."""
        if not len(self.ascending):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.ascending, keys), len(self.ascending) - 1)
        return np.where(self.ascending[at] == keys, self._order[at], -1).astype(np.int64)

    def in_key_order(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask over rows as a mask over ascending keys."""
        return mask[self._order]


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing chunks as of ``seq``: keys ascending int64 [n], and the document key of each."""

    seq: int
    keys: NDArray[np.int64]
    docs: NDArray[np.int64]


class Live:
    """The standing chunks as of ``seq``. ``alive`` is never changed in place: a snapshot may hold it."""

    def __init__(
        self, rows: Rows, *, seq: int, chain: bytes, fresh: Mapping[int, Extent] | None = None
    ) -> None:
        self._rows = rows
        self.seq, self.chain = seq, chain
        self.alive: NDArray[np.bool_] | None = None
        self.fresh: dict[int, Extent] = dict(fresh or {})
        """Standing versions that came after the base, in the order in which they came."""
        self.ended: list[int] = []
        """Those that came after it and went again, until somebody has taken note and clears it."""
        self._fresh_keys = _keys_of(sorted(self.fresh.values()))
        self._came: list[Extent] = []
        """What came since ``_fresh_keys`` was last brought up to date; keys only ever grow."""
        self._went: list[Extent] = []
        """What of the fresh went since then."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow the log."""
        dead: list[NDArray[np.int64]] = []
        for change in changes:
            for key, first, count in change.went.tolist():
                if self.fresh.pop(key, None) is None:
                    dead.append(np.arange(first, first + count, dtype=np.int64))
                else:
                    self._went.append((first, count))
                    self.ended.append(key)
            for key, first, count in change.came.tolist():
                self.fresh[key] = (first, count)
                self._came.append((first, count))
            self.seq, self.chain = change.seq, change.chain
        if dead:
            self._bury(np.concatenate(dead))

    def _bury(self, keys: NDArray[np.int64]) -> None:
        rows = self._rows.of(keys)
        size = len(self._rows.ascending)
        alive = np.ones(size, dtype=np.bool_) if self.alive is None else self.alive.copy()
        alive[rows[rows >= 0]] = False
        self.alive = alive

    @property
    def dead_keys(self) -> NDArray[np.int64]:
        """Keys of the base that stand no longer, ascending."""
        if self.alive is None:
            return np.empty(0, dtype=np.int64)
        return self._rows.ascending[~self._rows.in_key_order(self.alive)]

    @property
    def fresh_keys(self) -> NDArray[np.int64]:
        """Chunk keys that came after the base, ascending."""
        if self._came:
            self._fresh_keys = np.concatenate([self._fresh_keys, _keys_of(self._came)])
        if self._went:
            gone = np.searchsorted(self._fresh_keys, _keys_of(self._went))
            self._fresh_keys = np.delete(self._fresh_keys, gone)
        self._came, self._went = [], []
        return self._fresh_keys

    @property
    def keys(self) -> NDArray[np.int64]:
        """All standing chunk keys, ascending."""
        base = self._rows.ascending
        if self.alive is not None:
            base = base[self._rows.in_key_order(self.alive)]
        return np.concatenate([base, self.fresh_keys])


def _keys_of(extents: Iterable[Extent]) -> NDArray[np.int64]:
    runs = [np.arange(first, first + count, dtype=np.int64) for first, count in extents]
    return np.concatenate(runs) if runs else np.empty(0, dtype=np.int64)
