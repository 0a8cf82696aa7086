"""The leaf head: gradient, gain over the untrained rule, refusal, calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.route.test_address import cloud

from fingerpost.route import address, calibrate, train
from fingerpost.route.router import Head, Router


@pytest.fixture(scope="module")
def setting() -> tuple[Router, train.Examples]:
    rows = cloud(3000, dim=32)
    laid = address.build(rows, leaf_chunks=50, seed=0)
    rows = rows[laid.order]
    router = Router.fit_statistics(rows, laid.leaf_offsets, addresses=laid.addresses)
    random = np.random.default_rng(1)
    queries = rows[random.permutation(3000)[:600]].astype(np.float32) + 0.15 * random.normal(size=(600, 32))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    return router, train.examples(queries, rows, laid.leaf_offsets, docs=np.arange(3000))


def test_labels_are_shares_of_the_exhaustive_top(setting: tuple[Router, train.Examples]) -> None:
    _, given = setting
    assert given.labels.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-5)
    assert set(np.unique((given.labels * 10).round(4)).tolist()) <= set(range(11))


def test_the_gradient_of_the_head(setting: tuple[Router, train.Examples]) -> None:
    router, given = setting
    some = given.only(np.arange(20))
    features = np.stack([*router.statistics.batch(some.queries), some.votes])
    random = np.random.default_rng(0)
    head = Head(
        np.array([5, 10, 3, 1], np.float32),
        random.normal(size=router.n_leaves).astype(np.float32),
        random.normal(size=(router.n_leaves, 32)).astype(np.float32),
        trained=True,
    )
    _, slopes = train.head_loss(head, features, some.queries, some.labels)
    for name, slope in zip(("weights", "bias", "matrix"), slopes, strict=True):
        step = random.normal(size=slope.shape).astype(np.float32) * 1e-2
        moved = (replace(head, **{name: getattr(head, name) + sign * step}) for sign in (1, -1))
        ahead, behind = (train.head_loss(h, features, some.queries, some.labels)[0] for h in moved)
        assert (ahead - behind) / 2 == pytest.approx(float((slope * step).sum()), rel=2e-2, abs=2e-4)


def test_training_finds_more_on_held_out_answers_and_is_deterministic(
    setting: tuple[Router, train.Examples],
) -> None:
    router, given = setting
    learned, verdict = train.leaf_head(router, given)
    assert verdict.accepted
    assert verdict.trained > verdict.untrained
    assert learned.trained
    assert learned.to_bytes() == train.leaf_head(router, given)[0].to_bytes()
    assert learned.to_bytes() != router.to_bytes()
    assert learned.untaught().to_bytes() == router.to_bytes()
    assert Router.from_bytes(learned.to_bytes()).trained


def test_few_questions_for_many_leaves_train_the_four_weights_alone() -> None:
    rows = cloud(3000, dim=32)
    laid = address.build(rows, leaf_chunks=6, seed=0)
    rows = rows[laid.order]
    router = Router.fit_statistics(rows, laid.leaf_offsets, addresses=laid.addresses)
    random = np.random.default_rng(1)
    queries = rows[random.permutation(3000)[:100]].astype(np.float32) + 0.15 * random.normal(size=(100, 32))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    given = train.examples(queries, rows, laid.leaf_offsets, docs=np.arange(3000))
    assert router.n_leaves > 6 * len(queries)
    learned, verdict = train.leaf_head(router, given)
    assert verdict.accepted
    assert verdict.trained > verdict.untrained + 0.05
    assert learned.head.weights.tolist() != router.head.weights.tolist()
    assert not learned.head.bias.any()
    assert not learned.head.matrix.any()


def test_meaningless_labels_are_refused(setting: tuple[Router, train.Examples]) -> None:
    router, given = setting
    random = np.random.default_rng(0)
    noise = replace(given, labels=random.permutation(given.labels))
    learned, verdict = train.leaf_head(router, noise)
    assert not learned.trained or verdict.trained > verdict.untrained
    few, word = train.leaf_head(router, given.only(np.arange(5)))
    assert not few.trained
    assert not word.accepted


def test_gold_moves_mass(setting: tuple[Router, train.Examples]) -> None:
    _, given = setting
    moved = train.with_gold(given, np.array([0]), np.array([3]))
    assert moved.labels[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert moved.labels[0, 3] == pytest.approx(0.7 * given.labels[0, 3] + 0.3, abs=1e-5)
    assert (moved.labels[1:] == given.labels[1:]).all()


def test_calibration_knows_strangers_and_the_share_needed(setting: tuple[Router, train.Examples]) -> None:
    router, given = setting
    ready = calibrate.router(router, given, recall=0.9)
    strange = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))[0].astype(np.float32)
    strange = min(strange, key=lambda q: ready.familiarity(q))
    assert 0 < ready.calibration.needed_share < 0.5
    assert calibrate.needed_share(router, given, recall=0.99) >= ready.calibration.needed_share
    assert ready.familiarity(strange) < ready.calibration.familiar


def test_temperature_and_isotonic_lower_the_calibration_error() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(size=4000)
    right = random.uniform(size=4000) < truth
    told = truth**3
    learned = calibrate.isotonic(told[:2000], right[:2000])
    before = calibrate.expected_error(told[2000:], right[2000:])
    assert calibrate.expected_error(learned(told[2000:]), right[2000:]) < 0.04 < before
    assert (np.diff(learned.chances) >= 0).all()
    logits = random.normal(size=(2000, 5)) * 3
    drawn = np.array([random.choice(5, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    labels = np.eye(5)[drawn]
    assert calibrate.temperature(logits * 4, labels) == pytest.approx(4.0, rel=0.15)
    told = calibrate.leaf_error(logits * 4, labels)
    assert calibrate.leaf_error(logits, labels) < 0.05 < told
