"""Addresses: every row in one leaf, no leaf above the cap, names kept when chunks come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerpost.errors import InputError
from fingerpost.route import address
from fingerpost.route.kmeans import balanced, unit


def cloud(count: int, dim: int = 16, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(12, dim))
    return unit(centres[random.integers(12, size=count)] + 0.5 * random.normal(size=(count, dim))).astype(
        np.float16
    )


@settings(max_examples=25)
@given(count=st.integers(0, 700), leaf=st.integers(16, 64), seed=st.integers(0, 3))
def test_every_row_lies_in_exactly_one_leaf(count: int, leaf: int, seed: int) -> None:
    laid = address.build(cloud(count, seed=seed), leaf_chunks=leaf, seed=seed)
    sizes = np.diff(laid.leaf_offsets)
    assert sorted(laid.order.tolist()) == list(range(count))
    assert laid.leaf_offsets[-1] == count
    assert len(sizes) == len(laid.addresses) == len(laid.centroids) == len(set(laid.addresses))
    assert list(laid.addresses) == sorted(laid.addresses)
    assert len(sizes) == 1 or (sizes.max() <= address.CAP * leaf and sizes.min() > 0)
    assert (laid.leaf_of[laid.order] == np.repeat(np.arange(len(sizes)), sizes)).all()


def test_same_input_same_layout() -> None:
    rows = cloud(900)
    first, second = (address.build(rows, leaf_chunks=50, seed=3) for _ in range(2))
    assert first.order.tobytes() == second.order.tobytes()
    assert first.centroids.tobytes() == second.centroids.tobytes()


def test_rows_settle_in_the_leaf_they_are_near_across_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = cloud(6_000)

    def nearness() -> float:
        laid = address.build(rows, leaf_chunks=50, seed=0)
        return float(np.einsum("nd,nd->n", rows.astype(np.float32), laid.centroids[laid.leaf_of]).mean())

    settled = nearness()
    monkeypatch.setattr(address, "ROUNDS", 0)
    assert settled > nearness() + 0.001


def test_small_corpus_is_one_leaf() -> None:
    assert address.build(cloud(99), leaf_chunks=50, seed=0).addresses == ((0, 0),)
    assert address.build(cloud(0), leaf_chunks=50, seed=0).leaf_offsets.tolist() == [0, 0]


def test_equal_vectors_are_cut_by_position() -> None:
    laid = address.build(np.repeat(cloud(1), 500, axis=0), leaf_chunks=50, seed=0)
    assert np.diff(laid.leaf_offsets).max() <= address.CAP * 50
    assert all((np.diff(rows) > 0).all() for rows in np.split(laid.order, laid.leaf_offsets[1:-1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_an_error_that_names_the_row(bad: float) -> None:
    rows = cloud(300)
    rows[123, 4] = bad
    with pytest.raises(InputError, match="vector 123"):
        address.build(rows, leaf_chunks=50, seed=0)


def test_leaves_are_closer_than_chance() -> None:
    rows = cloud(1200)
    laid = address.build(rows, leaf_chunks=50, seed=0)
    own = np.einsum("nd,nd->n", rows.astype(np.float32), laid.centroids[laid.leaf_of])
    assert own.mean() > 0.75 > 0.3 > (rows.astype(np.float32) @ laid.centroids.T).mean()


def test_refold_keeps_addresses_and_cuts_only_what_overflows() -> None:
    rows = cloud(600)
    old = address.build(rows, leaf_chunks=50, seed=0)
    crowd = np.repeat(rows[:1], 60, axis=0)
    leaves = np.concatenate([old.leaf_of, np.full(60, -1)])
    new = address.refold(
        np.concatenate([rows, crowd]),
        leaves,
        addresses=old.addresses,
        centroids=old.centroids,
        leaf_chunks=50,
    )
    crowded = old.addresses[int(old.leaf_of[0])]
    before = [old.addresses[leaf] for leaf in old.leaf_of]
    after = [new.addresses[leaf] for leaf in new.leaf_of[:600]]
    assert {b for b, a in zip(before, after, strict=True) if a != b} <= {crowded}
    assert set(old.addresses) <= set(new.addresses)
    assert np.diff(new.leaf_offsets).max() <= address.CAP * 50


def test_refold_drops_empty_leaves() -> None:
    rows = cloud(300)
    old = address.build(rows, leaf_chunks=50, seed=0)
    kept = old.leaf_of != 1
    new = address.refold(
        rows[kept], old.leaf_of[kept], addresses=old.addresses, centroids=old.centroids, leaf_chunks=50
    )
    assert new.addresses == tuple(a for at, a in enumerate(old.addresses) if at != 1)


def test_assign_finds_the_own_leaf_of_most_rows() -> None:
    rows = cloud(600)
    laid = address.build(rows, leaf_chunks=50, seed=0)
    assert (address.assign(rows, laid.centroids) == laid.leaf_of).mean() > 0.85


def test_balanced_clusters_are_even() -> None:
    _, labels = balanced(unit(np.random.default_rng(0).normal(size=(2000, 16))), 20, seed=0)
    assert np.bincount(labels, minlength=20).max() < 1.6 * 100
