"""The untrained router: statistics are right, plans are within budget and say why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.route.test_address import cloud

from fingerpost.config import RouteSettings
from fingerpost.errors import FingerpostError, InputError, ModelError
from fingerpost.route import address, statistics
from fingerpost.route.router import FEW, Calibration, Router, softmax, worked_out

ROUTED = RouteSettings(full_below=0, budget=0.2)


@pytest.fixture(scope="module")
def laid() -> tuple[np.ndarray, address.Addresses]:
    rows = cloud(2000, dim=32)
    found = address.build(rows, leaf_chunks=50, seed=0)
    return rows[found.order], found


@pytest.fixture(scope="module")
def router(laid: tuple[np.ndarray, address.Addresses]) -> Router:
    rows, found = laid
    return Router.fit_statistics(rows, found.leaf_offsets, addresses=found.addresses)


def test_moments_agree_with_the_covariance(laid: tuple[np.ndarray, address.Addresses]) -> None:
    rows, found = laid
    stats = statistics.fit(rows, found.leaf_offsets)
    leaf = rows[found.leaf_offsets[3] : found.leaf_offsets[4]].astype(np.float64)
    cov = np.cov(leaf.T, bias=True)
    queries = rows[::40].astype(np.float32)
    exact = np.sqrt(np.einsum("qi,ij,qj->q", queries, cov, queries))
    ours = np.array([float(stats.sigma(query, np.array([3]))[0]) for query in queries])
    assert stats.mean[3] == pytest.approx(leaf.mean(axis=0), abs=1e-4)
    assert ours.mean() == pytest.approx(exact.mean(), rel=0.1)
    assert np.corrcoef(ours, exact)[0, 1] > 0.8


def test_batch_agrees_with_single(laid: tuple[np.ndarray, address.Addresses], router: Router) -> None:
    queries = laid[0][::97].astype(np.float32)
    mean, sigma, best = router.statistics.batch(queries)
    leaves = np.arange(router.n_leaves)
    assert mean[2] == pytest.approx(router.statistics.mean @ queries[2], abs=1e-5)
    assert sigma[2] == pytest.approx(router.statistics.sigma(queries[2], leaves), abs=1e-4)
    assert best[2] == pytest.approx(router.statistics.nearest_centre(queries[2], leaves), abs=1e-5)


def test_adding_and_removing_equals_fitting_anew(laid: tuple[np.ndarray, address.Addresses]) -> None:
    rows, found = laid
    stats = statistics.fit(rows, found.leaf_offsets)
    leaves = np.repeat(np.arange(len(found.addresses)), np.diff(found.leaf_offsets))
    gone = np.arange(0, 2000, 40)
    less = stats.changed(rows[gone], leaves[gone], sign=-1)
    back = less.changed(rows[gone], leaves[gone], sign=1)
    assert less.counts.sum() == 1950
    for name in ("sums", "squares", "projected"):
        assert getattr(back, name) == pytest.approx(getattr(stats, name), abs=1e-3)
    keep = np.setdiff1d(np.arange(2000), gone)
    offsets = np.searchsorted(leaves[keep], np.arange(len(found.addresses) + 1))
    assert less.mean == pytest.approx(statistics.fit(rows[keep], offsets).mean, abs=1e-4)


def test_plan_finds_the_leaf_within_the_budget(
    laid: tuple[np.ndarray, address.Addresses], router: Router
) -> None:
    rows, found = laid
    hits = 0
    for row in range(0, 2000, 50):
        plan = router.plan(rows[row].astype(np.float32), None, settings=ROUTED, n_chunks=2000)
        share = sum(int(np.diff(found.leaf_offsets)[leaf]) for leaf in plan.leaves) / 2000
        assert not plan.full
        assert share <= 0.2
        assert plan.addresses == tuple(found.addresses[leaf] for leaf in plan.leaves)
        hits += int(np.searchsorted(found.leaf_offsets[1:], row, side="right")) in plan.leaves
    assert hits >= 38


@pytest.mark.parametrize("budget", [0.001, 0.05, 0.2, 0.34])
def test_a_plan_opens_the_leaves_that_a_sort_of_all_would(
    laid: tuple[np.ndarray, address.Addresses], budget: float
) -> None:
    rows = cloud(4000, dim=32, seed=5)
    found = address.build(rows, leaf_chunks=8, seed=0)
    router = Router.fit_statistics(rows[found.order], found.leaf_offsets, addresses=found.addresses)
    settings, counts = RouteSettings(full_below=0, budget=budget), router.statistics.counts
    # As many leaves again hold nothing, and come first: more are wanted than were sorted at first.
    empty = np.argsort(-counts, kind="stable")[len(counts) // 2 :]
    hollow = replace(router.statistics, counts=np.where(np.isin(np.arange(len(counts)), empty), 0, counts))
    for held in (router.statistics, hollow):
        one = replace(router, statistics=held)
        for query in rows[::500].astype(np.float32):
            order = np.argsort(-one.score(query), kind="stable")
            inside = np.cumsum(held.counts[order]) <= budget * held.counts.sum()
            plan = one.plan(query, None, settings=settings, n_chunks=4000)
            assert plan.leaves == tuple(order[: max(1, int(inside.sum()))].tolist())


def test_equal_scores_are_opened_as_they_are_numbered() -> None:
    rows = np.tile(np.eye(4, dtype=np.float32)[:1], (600, 1))
    offsets = np.arange(0, 601, 2)
    router = Router.fit_statistics(rows, offsets, addresses=[(0, at) for at in range(300)])
    settings = RouteSettings(full_below=0, budget=0.1)
    assert router.plan(rows[0], None, settings=settings, n_chunks=600).leaves == tuple(range(30))


def test_votes_raise_a_leaf(router: Router) -> None:
    query, votes = np.eye(32, dtype=np.float32)[0], np.zeros(router.n_leaves)
    votes[5] = 20
    assert router.score(query, votes)[5] > router.score(query)[5]
    with pytest.raises(InputError, match="votes for 3 leaves"):
        router.score(query, np.ones(3))


def test_preselection_changes_only_the_tail(laid: tuple[np.ndarray, address.Addresses]) -> None:
    rows = cloud(4000, dim=32, seed=5)
    found = address.build(rows, leaf_chunks=16, seed=0)
    router = Router.fit_statistics(rows[found.order], found.leaf_offsets, addresses=found.addresses)
    query = rows[9].astype(np.float32)
    mean, sigma, _ = router.statistics.batch(query[None])
    w = router.head.weights
    flat = (w[0] * mean + w[1] * sigma)[0]
    assert router.n_leaves > 2 * FEW
    top = np.argsort(-router.score(query), kind="stable")[: FEW // 2].tolist()
    assert len(set(top) & set(np.argsort(-flat, kind="stable")[: FEW // 2].tolist())) >= FEW // 2 - 1


def test_leaves_that_are_not_worked_out_keep_their_order_below_the_others(
    laid: tuple[np.ndarray, address.Addresses],
) -> None:
    rows = cloud(4000, dim=32, seed=5)
    found = address.build(rows, leaf_chunks=16, seed=0)
    router = Router.fit_statistics(rows[found.order], found.leaf_offsets, addresses=found.addresses)
    query = rows[9].astype(np.float32)
    wide, few = worked_out(router.n_leaves)
    assert few < wide < router.n_leaves
    scores = router.score(query)
    ranked = np.argsort(-scores, kind="stable")
    w, held = router.head.weights, router.statistics
    rough = w[0] * (held.mean @ query) + w[1] * held.typical
    last = rough[ranked[wide:]]
    assert np.unique(scores).size >= len(scores) - 2  # one tie at each of the two borders
    assert (np.diff(last) <= 1e-4).all()
    assert len(set(ranked[:wide].tolist()) & set(np.argsort(-rough)[:wide].tolist())) >= wide - 1


@pytest.mark.parametrize(
    ("settings", "calibration", "words"),
    [
        (RouteSettings(full_below=50_000), Calibration(), "routing starts at 50,000"),
        (ROUTED, Calibration(familiar=0.999), "unlike the queries"),
        (ROUTED, Calibration(needed_share=0.5), "would need 50%"),
        (ROUTED, Calibration(off="audits found recall 0.71, target 0.9"), "audits found"),
    ],
)
def test_full_search_says_why(
    router: Router, settings: RouteSettings, calibration: Calibration, words: str
) -> None:
    plan = replace(router, calibration=calibration).plan(
        np.eye(32, dtype=np.float32)[0], None, settings=settings, n_chunks=2000
    )
    assert plan.full
    assert not plan.leaves
    assert words in plan.reason


def test_one_leaf_is_searched_in_full() -> None:
    found = address.build(cloud(10), leaf_chunks=50, seed=0)
    router = Router.fit_statistics(cloud(10), found.leaf_offsets, addresses=found.addresses)
    assert router.plan(np.eye(16, dtype=np.float32)[0], None, settings=ROUTED, n_chunks=10).full


@pytest.mark.parametrize("bad", [np.full(32, np.nan, np.float32), np.ones(3, np.float32)])
def test_a_bad_query_vector_is_named(router: Router, bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        router.score(bad)


def test_bytes_round_trip_and_are_stable(router: Router) -> None:
    data = router.to_bytes()
    again = Router.from_bytes(data)
    query = np.eye(32, dtype=np.float32)[1]
    assert again.to_bytes() == data
    assert np.argsort(-again.score(query))[:5].tolist() == np.argsort(-router.score(query))[:5].tolist()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04pickle", b"\xff" * 64, b"\x00" * 8, (2**63).to_bytes(8, "little") + b"{}"]
)
def test_hostile_bytes_are_a_model_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        Router.from_bytes(data)


def test_every_truncation_and_many_flips_are_named_errors(router: Router) -> None:
    data = bytearray(router.to_bytes())
    for at in range(0, len(data), len(data) // 40):
        with pytest.raises(FingerpostError):
            Router.from_bytes(bytes(data[:at]))
    for at in range(400):
        broken = bytearray(data)
        broken[at] ^= 0x55
        try:
            Router.from_bytes(bytes(broken))
        except FingerpostError:
            continue


def test_a_router_of_another_corpus_does_not_fit(
    router: Router, laid: tuple[np.ndarray, address.Addresses]
) -> None:
    offsets = laid[1].leaf_offsets
    assert router.misfit(offsets, 32) == ""
    assert "router knows" in router.misfit(offsets[:4], 32)
    assert "router knows" in router.misfit(offsets, 16)
    moved = offsets.copy()
    moved[1] += 1
    assert router.misfit(moved, 32) == f"the router counts other chunks in 2 of {router.n_leaves} leaves"


def test_refolded_keeps_what_was_learned(laid: tuple[np.ndarray, address.Addresses], router: Router) -> None:
    rows, found = laid
    learned = replace(router.head, bias=np.arange(router.n_leaves, dtype=np.float32), trained=True)
    names = [*found.addresses[1:], (99, 0)]
    new = replace(router, head=learned).refolded(rows, found.leaf_offsets, addresses=names)
    assert new.trained
    assert new.head.bias.tolist() == [*range(1, router.n_leaves), 0]


def test_softmax_sums_to_one() -> None:
    assert softmax(np.array([1e4, 0.0, -1e4])).sum() == pytest.approx(1.0)
