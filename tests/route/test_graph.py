"""The graph against brute force, built and kept up."""

from __future__ import annotations

import numpy as np
from tests.route.test_address import cloud

from fingerpost.route import address, graph
from fingerpost.route.kmeans import unit


def exact(rows: np.ndarray, k: int = 16) -> np.ndarray:
    scores = rows.astype(np.float32) @ rows.astype(np.float32).T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    return float(
        np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)])
    )


def test_graph_agrees_with_brute_force() -> None:
    rows = cloud(3000, dim=32)
    laid = address.build(rows, leaf_chunks=60, seed=0)
    found = graph.neighbours(rows[laid.order], laid.leaf_offsets)
    assert found.dtype == np.int32
    assert not (found == np.arange(3000)[:, None]).any()
    assert agreement(found, exact(rows[laid.order])) >= 0.9


def test_friends_lead_to_leaves_that_means_do_not() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(3000, 12)))
    laid = address.build(rows, leaf_chunks=30, seed=0)
    rows, truth = rows[laid.order], exact(rows[laid.order])
    means = graph.neighbours(rows, laid.leaf_offsets, probes=6, rounds=())
    friends = graph.neighbours(rows, laid.leaf_offsets, probes=6, rounds=(3, 3))
    assert agreement(friends, truth) > agreement(means, truth) + 0.1
    assert (friends >= 0).all()


def test_leaves_of_friends_are_those_that_most_of_them_lie_in() -> None:
    random = np.random.default_rng(0)
    offsets = np.arange(0, 601, 20)
    lists = graph._Lists(np.zeros((600, 2), np.float32), offsets, np.arange(600), 4)
    lists.ids[:] = random.integers(0, 600, (600, 4))
    known = random.integers(-1, 30, (600, 3))
    found = lists._leaves_of_friends(lists.ids, known, 5)
    for row in range(600):
        votes = np.bincount(lists.ids[lists.ids[row]].ravel() // 20, minlength=30)
        votes[known[row][known[row] >= 0]] = 0
        given = found[row][found[row] >= 0]
        assert len(set(given.tolist())) == len(given) == min(5, np.count_nonzero(votes))
        assert sorted(votes[given].tolist()) == sorted(votes[votes > 0].tolist())[-len(given) :]


def test_few_chunks_leave_holes() -> None:
    rows = cloud(5)
    found = graph.neighbours(rows, np.array([0, 5]))
    assert (found[:, :4] >= 0).all()
    assert (found[:, 4:] == -1).all()
    assert graph.neighbours(cloud(1), np.array([0, 1])).tolist() == [[-1] * 16]
    assert graph.neighbours(cloud(0), np.array([0, 0])).shape == (0, 16)


def test_update_after_coming_and_going_stays_near_brute_force() -> None:
    rows = cloud(2000, dim=32)
    stay, went, came = np.arange(0, 1700), np.arange(1700, 1850), np.arange(1850, 2000)
    before = np.concatenate([stay, went])
    old = address.build(rows[before], leaf_chunks=60, seed=0)
    first = graph.neighbours(rows[before][old.order], old.leaf_offsets)
    after = np.concatenate([stay, came])
    leaves = np.concatenate([old.leaf_of[:1700], np.full(150, -1)])
    new = address.refold(
        rows[after], leaves, addresses=old.addresses, centroids=old.centroids, leaf_chunks=60
    )
    row_of = np.full(2000, -1)
    row_of[before[old.order]] = np.arange(1850)
    old_rows = np.where(after[new.order] < 1700, row_of[after[new.order]], -1)
    found = graph.update(first, rows[after][new.order], new.leaf_offsets, old_rows=old_rows)
    truth = exact(rows[after][new.order])
    fresh = old_rows < 0
    assert agreement(found[fresh], truth[fresh]) >= 0.9
    assert agreement(found[~fresh], truth[~fresh]) >= 0.88
    assert all(len(set(row)) == 16 for row in found.tolist())
    assert not (found == np.arange(1850)[:, None]).any()


def test_what_came_is_listed_wherever_it_is_nearer_than_the_last() -> None:
    rows, k = cloud(400, dim=16), 8
    before = exact(rows[:300], k).astype(np.int32)
    after = graph.update(before, rows, np.array([0, 400]), old_rows=np.r_[0:300, np.full(100, -1)])
    scores = rows.astype(np.float32) @ rows.astype(np.float32).T
    for row in range(300):
        offered = 300 + np.flatnonzero((after[300:] == row).any(axis=1))
        pool = np.union1d(before[row], offered)
        assert set(after[row].tolist()) == set(pool[np.argsort(-scores[row, pool])[:k]].tolist())
        assert (np.diff(scores[row, after[row]]) <= 1e-6).all()
    assert (after[:300] >= 300).any()
    assert np.array_equal(
        graph.update(before, rows[:300], np.array([0, 300]), old_rows=np.arange(300)), before
    )
