"""Dense vectors of a generation: rows sorted by address, int8 to scan, float16 to rescore.

A leaf is a contiguous slice, scored by one SIMD call; the best few of the scan are scored again in float16.
Each int8 row has its own scale max|v| / 127, so that a zero vector is a row of zeros and spoils nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numkong
import numpy as np
import simsimd
from numpy.typing import NDArray

RESCORE = 4
"""How many times k candidates of the int8 scan are scored again in float16."""

_LEAST = 128
_DIRECT = 4_096
"""So many allowed rows, or a sixteenth of all, are scored in float16 at once, without a scan."""

_STRIDE = 16
Mask = NDArray[np.bool_]
Run = tuple[int, int]


def quantize(vectors: NDArray[np.float16]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 codes [n, d] and the scale [n] of each row: ``codes · scale ≈ vectors``.

    >>> quantize(np.array([[0.5, -1.0], [0.0, 0.0]], dtype=np.float16))[0].tolist()
    [[64, -127], [0, 0]]
    """
    exact: NDArray[np.float32] = np.asarray(numkong.astype(vectors, "float32"))
    top = np.maximum(exact.max(axis=1, initial=0.0), -exact.min(axis=1, initial=0.0))
    scale = (top / np.float32(127)).astype(np.float32)
    exact /= np.where(scale > 0, scale, np.float32(1))[:, None]
    return np.rint(exact, out=exact).astype(np.int8), scale


def dots(query: NDArray[np.float16], rows: NDArray[np.float16]) -> NDArray[np.float32]:
    """Inner products of one float16 query [d] with float16 rows [n, d], accumulated in float32.

    Not by simsimd: where the processor has float16 arithmetic it adds up in float16, and loses neighbours.
    """
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    found: NDArray[np.float32] = np.asarray(
        numkong.cdist(query[None], rows, metric="dot", out_dtype="float32")
    )[0]
    return found


class Slices:
    """The sorted vectors of a generation. ``ties`` [n] is what equal scores are ordered by."""

    def __init__(
        self, exact: NDArray[np.float16], codes: NDArray[np.int8], scale: NDArray[np.float32]
    ) -> None:
        self.exact, self._codes, self._scale = exact, codes, scale
        self.ties: NDArray[np.integer] = np.arange(len(exact))

    def search(
        self, query: NDArray[np.float32], *, k: int, runs: Sequence[Run], mask: Mask | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
        """Rows and scores of the best ``k`` inside ``runs`` (start, end) where ``mask`` is true, best first,
        and how many rows were scored.
        """
        half = query.astype(np.float16)
        rows = _rows(runs, mask)
        if rows is not None and len(rows) <= max(_DIRECT, len(self.exact) // 16):
            near, scored = rows, len(rows)
        else:
            near, scored = self._scan(query, k=k, runs=runs, mask=mask)
        scores = dots(half, self.exact[near])
        order = np.lexsort((self.ties[near], -scores))[:k]
        return near[order], scores[order], scored

    def _scan(
        self, query: NDArray[np.float32], *, k: int, runs: Sequence[Run], mask: Mask | None
    ) -> tuple[NDArray[np.int64], int]:
        top = float(np.abs(query).max(initial=0.0))
        coded = np.rint(query * (127.0 / top if top > 0 else 0.0)).astype(np.int8)[None]
        scores = np.empty(sum(end - start for start, end in runs), dtype=np.float32)
        at = 0
        for start, end in runs:
            part = scores[at : at + end - start]
            found = simsimd.cdist(coded, self._codes[start:end], metric="dot", out_dtype="float32")
            np.multiply(np.asarray(found)[0], self._scale[start:end], out=part)
            if mask is not None:
                part[~mask[start:end]] = -np.inf
            at += end - start
        scored = len(scores) if mask is None else int(sum(mask[s:e].sum() for s, e in runs))
        best = largest(scores, min(max(RESCORE * k, _LEAST), scored))
        return _absolute(best, runs), scored


def largest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Positions of the ``count`` largest scores and of all that equal the last of them, in no order.

    A threshold estimated from every sixteenth score leaves few to sort, which is ten times faster than
    partitioning all of them; where the estimate was too high everything is partitioned.
    """
    if count >= len(scores):
        return np.arange(len(scores), dtype=np.int64)
    sample = scores[::_STRIDE]
    rank = min(len(sample), 2 * count // _STRIDE + 8)
    threshold = np.partition(sample, len(sample) - rank)[len(sample) - rank]
    near = np.flatnonzero(scores >= threshold)
    if len(near) < count:
        near = np.arange(len(scores), dtype=np.int64)
    cut = np.partition(scores[near], len(near) - count)[len(near) - count]
    found: NDArray[np.int64] = near[scores[near] >= cut]
    return found


def runs_of(leaves: NDArray[np.int32] | None, offsets: NDArray[np.int64]) -> list[Run]:
    """Leaves as maximal contiguous runs of rows.

    >>> runs_of(np.array([2, 0, 1, 4], dtype=np.int32), np.array([0, 5, 9, 9, 12, 20]))
    [(0, 9), (12, 20)]
    """
    if leaves is None:
        return [(0, int(offsets[-1]))] if offsets[-1] else []
    runs: list[Run] = []
    for leaf in np.unique(leaves):
        start, end = int(offsets[leaf]), int(offsets[leaf + 1])
        if start == end:
            continue
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _rows(runs: Sequence[Run], mask: Mask | None) -> NDArray[np.int64] | None:
    """The rows to score, when they are few enough to be listed."""
    if mask is None:
        if sum(end - start for start, end in runs) > _LEAST:
            return None
        parts = [np.arange(start, end, dtype=np.int64) for start, end in runs]
    else:
        parts = [np.flatnonzero(mask[start:end]).astype(np.int64) + start for start, end in runs]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _absolute(positions: NDArray[np.int64], runs: Sequence[Run]) -> NDArray[np.int64]:
    """Positions in the concatenated runs as rows."""
    starts = np.array([start for start, _ in runs], dtype=np.int64)
    ends = np.cumsum([end - start for start, end in runs])
    which = np.searchsorted(ends, positions, side="right")
    before = np.concatenate(([0], ends[:-1]))
    return starts[which] + positions - before[which]


def load_slices(folder: Path, *, count: int, dim: int) -> Slices:
    """Map the files ``vectors.f16``, ``vectors.i8`` and ``vectors.scale`` of a generation."""
    if not count or not dim:
        empty = np.empty((0, dim), dtype=np.float16)
        return Slices(empty, empty.astype(np.int8), np.empty(0, dtype=np.float32))
    return Slices(
        np.memmap(folder / "vectors.f16", dtype="<f2", mode="r", shape=(count, dim)),
        np.memmap(folder / "vectors.i8", dtype="i1", mode="r", shape=(count, dim)),
        np.fromfile(folder / "vectors.scale", dtype="<f4", count=count),
    )
