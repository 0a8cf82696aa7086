"""Which chunks stand, kept up to date change by change."""

from __future__ import annotations

import numpy as np

from fingerpost.store.ledger import Change
from fingerpost.store.live import Extent, Live, Rows


def _change(seq: int, came: list[tuple[int, int, int]], went: list[tuple[int, int, int]]) -> Change:
    return Change(seq, *(np.array(rows, dtype=np.int64).reshape(-1, 3) for rows in (came, went)), b"")


def _keys(fresh: dict[int, Extent]) -> list[int]:
    return [key for first, count in sorted(fresh.values()) for key in range(first, first + count)]


def test_fresh_keys_follow_whatever_comes_and_goes_and_whenever_they_are_asked_for() -> None:
    random = np.random.default_rng(0)
    live = Live(Rows(np.arange(5)), seq=0, chain=b"")
    following = 5
    standing: dict[int, Extent] = {}
    for seq in range(1, 200):
        count = int(random.integers(0, 4))
        came, went = [(seq, following, count)], []
        following += count
        if standing and random.random() < 0.3:
            gone = list(standing)[int(random.integers(len(standing)))]
            went = [(gone, *standing.pop(gone))]
        standing[seq] = came[0][1:]
        live.apply([_change(seq, came, went)])
        if random.random() < 0.5:
            assert live.fresh_keys.tolist() == _keys(standing)
    assert live.fresh_keys.tolist() == _keys(standing) == live.keys[5:].tolist()
