"""Addresses: a two-level tree of balanced leaves over the chunk vectors.

A leaf is a contiguous run of rows, so that a routed leaf is a slice of the store. Its address, such as
``(3, 17)``, is the semantic docid: group 3, leaf 17 in it. Addresses belong to one epoch; document and
chunk ids never depend on them. A leaf never holds more than ``CAP`` times the size aimed at: what overflows
is cut along its widest direction, and the first part keeps the address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import InputError
from fingerpost.records import Address
from fingerpost.route.kmeans import F32, I64, balanced, group_sums, nearest, surcharge, unit

CAP = 1.35
SAMPLE = 256
"""Vectors per group that train the first level."""
ROUNDS = 3
"""How often rows settle among the leaves of near groups; twelve rounds were no better (bench/LOG.md)."""
NEAR = 8
"""Groups whose leaves a row may settle in."""
BLOCK = 8_192


@dataclass(frozen=True, slots=True)
class Addresses:
    """Which row lies in which leaf.

    ``order`` [N] int64: ``vectors[order]`` is sorted by leaf. ``leaf_offsets`` [L+1] int32: leaf i holds
    the sorted rows ``leaf_offsets[i]:leaf_offsets[i+1]``. ``centroids`` [L, d] float32, unit length.
    """

    order: I64
    leaf_offsets: NDArray[np.int32]
    addresses: tuple[Address, ...]
    centroids: F32

    @property
    def leaf_of(self) -> I64:
        """The leaf of each input row (not sorted): [N] int64."""
        leaves = np.empty(len(self.order), dtype=np.int64)
        leaves[self.order] = np.repeat(np.arange(len(self.addresses)), np.diff(self.leaf_offsets))
        return leaves


def build(vectors: NDArray[np.floating], *, leaf_chunks: int, seed: int) -> Addresses:
    """Lay ``vectors`` [N, d] (unit length, float16 or float32) out in leaves of about ``leaf_chunks`` rows.

    Fewer than two leaves' worth make one leaf. Equal vectors are cut by position. Raises InputError
    E_BAD_FORMAT on NaN or infinity. Deterministic for a seed.

    >>> rows = unit(np.random.default_rng(0).normal(size=(64, 8)))
    >>> laid = build(rows, leaf_chunks=16, seed=0)
    >>> laid.leaf_offsets[-1], max(np.diff(laid.leaf_offsets)) <= CAP * 16, laid.addresses[0]
    (np.int32(64), np.True_, (0, 0))
    """
    _finite(vectors)
    if len(vectors) < 2 * leaf_chunks:
        return _gather(vectors, np.zeros(len(vectors), dtype=np.int64), ((0, 0),))
    groups = max(1, round(np.sqrt(len(vectors) / leaf_chunks)))
    group_of = _groups(vectors, groups, seed)
    leaf_of = np.zeros(len(vectors), dtype=np.int64)
    addresses: list[Address] = []
    for group in range(groups):
        rows = np.flatnonzero(group_of == group)
        count = max(1, round(len(rows) / leaf_chunks))
        _, labels = balanced(unit(vectors[rows]), count, seed=seed + 1 + group)
        leaf_of[rows] = labels + len(addresses)
        addresses += [(group, leaf) for leaf in range(count)]
    leaf_of = _settled(vectors, leaf_of, np.array([group for group, _ in addresses]))
    return _fit(vectors, leaf_of, addresses, leaf_chunks)


def assign(vectors: NDArray[np.floating], centroids: F32) -> I64:
    """The nearest leaf of each vector: [n] int64 (insertion, no training).

    >>> assign(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1]).tolist()
    [1, 0]
    """
    _finite(vectors)
    return nearest(vectors, centroids)


def refold(
    vectors: NDArray[np.floating],
    leaf_of: I64,
    *,
    addresses: Sequence[Address],
    centroids: F32,
    leaf_chunks: int,
) -> Addresses:
    """The layout after chunks came and went: ``leaf_of`` [N] names each row's old leaf, −1 for a new row.

    New rows go to their nearest leaf; leaves that overflow are cut and only the parts cut off get new
    addresses; leaves left empty are dropped. All others keep their address.

    >>> rows = unit(np.random.default_rng(0).normal(size=(64, 8)))
    >>> old = build(rows, leaf_chunks=16, seed=0)
    >>> new = refold(rows, old.leaf_of, addresses=old.addresses, centroids=old.centroids, leaf_chunks=16)
    >>> new.addresses == old.addresses
    True
    """
    _finite(vectors)
    leaves = leaf_of.astype(np.int64, copy=True)
    fresh = np.flatnonzero(leaves < 0)
    leaves[fresh] = nearest(vectors[fresh], centroids)
    return _fit(vectors, leaves, list(addresses), leaf_chunks)


def _finite(vectors: NDArray[np.floating]) -> None:
    for start in range(0, len(vectors), 65_536):
        bad = np.flatnonzero(~np.isfinite(vectors[start : start + 65_536]).all(axis=1))
        if len(bad):
            raise InputError(
                "E_BAD_FORMAT",
                f"vector {start + int(bad[0])} holds NaN or infinity ({len(bad)} such rows in its block)",
                cure="encode these chunks again; check the encoder with `fingerpost doctor`",
            )


def _groups(vectors: NDArray[np.floating], groups: int, seed: int) -> I64:
    random = np.random.default_rng(seed)
    sample = np.sort(random.permutation(len(vectors))[: max(SAMPLE * groups, 4096)])
    centroids, _ = balanced(unit(vectors[sample]), groups, seed=seed)
    return nearest(vectors, centroids)


def _settled(vectors: NDArray[np.floating], leaf_of: I64, group_of: I64) -> I64:
    """The leaf of each row after rows at the edge of their group went to a nearer leaf of another: a third of
    them do. Leaves above the mean size pay as in ``kmeans.balanced``.
    """
    count = len(group_of)
    price = np.zeros(count, dtype=np.float32)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(vectors), BLOCK)]
    for _ in range(ROUNDS):
        sums = np.zeros((count, vectors.shape[1]), dtype=np.float32)
        for block in blocks:
            sums += group_sums(vectors[block].astype(np.float32), leaf_of[block], count)
        price += surcharge(np.bincount(leaf_of, minlength=count))
        middles, centroids = unit(group_sums(sums, group_of, int(group_of.max()) + 1)), unit(sums)
        rows = (vectors[block].astype(np.float32) for block in blocks)
        leaf_of = np.concatenate([_nearest_near(r, centroids, price, group_of, middles) for r in rows])
    return leaf_of


def _nearest_near(rows: F32, centroids: F32, price: F32, group_of: I64, middles: F32) -> I64:
    """The leaf with the largest ``row · centroid − price`` among those of each row's nearest groups: [n]."""
    groups, few = rows @ middles.T, min(NEAR, len(middles))
    near = groups >= np.partition(groups, -few, axis=1)[:, [-few]]
    best, found = np.full(len(rows), -np.inf, dtype=np.float32), np.zeros(len(rows), dtype=np.int64)
    for group in range(len(middles)):
        asked, leaves = np.flatnonzero(near[:, group]), np.flatnonzero(group_of == group)
        if not len(leaves):
            continue
        scores = rows[asked] @ centroids[leaves].T - price[leaves]
        first = scores.argmax(axis=1)
        score = scores[np.arange(len(asked)), first]
        better = score > best[asked]
        best[asked[better]], found[asked[better]] = score[better], leaves[first[better]]
    return found


def _fit(
    vectors: NDArray[np.floating], leaf_of: I64, addresses: list[Address], leaf_chunks: int
) -> Addresses:
    """Cut the leaves above the cap, then gather."""
    sizes = np.bincount(leaf_of, minlength=len(addresses))
    following = {
        group: max(a[1] for a in addresses if a[0] == group) + 1 for group in {a[0] for a in addresses}
    }
    for leaf in np.flatnonzero(sizes > CAP * leaf_chunks):
        rows = np.flatnonzero(leaf_of == leaf)
        group = addresses[leaf][0]
        for part in _cut(vectors[rows], leaf_chunks)[1:]:
            leaf_of[rows[part]] = len(addresses)
            addresses.append((group, following[group]))
            following[group] += 1
    return _gather(vectors, leaf_of, tuple(addresses))


def _cut(vectors: NDArray[np.floating], leaf_chunks: int) -> list[I64]:
    """Equal parts along the widest direction (power iteration); equal vectors keep their order."""
    rows = vectors.astype(np.float32)
    rows = rows - rows.mean(axis=0)
    axis = rows[int(np.argmax(np.einsum("ij,ij->i", rows, rows)))]
    for _ in range(8):
        axis = unit((rows.T @ (rows @ axis))[None])[0]
    order = np.argsort(np.round(rows @ axis, 5), kind="stable")
    return [np.sort(part) for part in np.array_split(order, -(-len(rows) // leaf_chunks))]


def _gather(vectors: NDArray[np.floating], leaf_of: I64, addresses: tuple[Address, ...]) -> Addresses:
    """Leaves in the order of their addresses, empty ones dropped (one leaf stays for an empty corpus)."""
    sizes = np.bincount(leaf_of, minlength=len(addresses))
    kept = sorted((a, i) for i, a in enumerate(addresses) if sizes[i] > 0) or [(addresses[0], 0)]
    rank = np.zeros(len(addresses), dtype=np.int64)
    rank[[i for _, i in kept]] = np.arange(len(kept))
    leaves = rank[leaf_of]
    order = np.argsort(leaves, kind="stable").astype(np.int64)
    offsets = np.zeros(len(kept) + 1, dtype=np.int32)
    np.cumsum(np.bincount(leaves, minlength=len(kept)), out=offsets[1:])
    return Addresses(order, offsets, tuple(a for a, _ in kept), _centroids(vectors, order, offsets))


def _centroids(vectors: NDArray[np.floating], order: I64, offsets: NDArray[np.int32]) -> F32:
    means = [
        vectors[order[a:b]].astype(np.float32).sum(axis=0)
        if b > a
        else np.zeros(vectors.shape[1], np.float32)
        for a, b in pairwise(offsets.tolist())
    ]
    return unit(np.stack(means))
