"""Steering: what a lesson teaches the router, calibrated on queries that its head was not trained on."""

from __future__ import annotations

import numpy as np

from fingerpost.index.learn.lesson import Lesson
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering
from fingerpost.route import calibrate
from fingerpost.route import train as heads
from fingerpost.route.pairs import aside
from fingerpost.route.router import Router
from fingerpost.store.snapshot import Snapshot

HELD_OUT = 0.2
"""Share of the queries that calibrate the router and train nothing in it."""
LEAST_HELD = 50


def train(rooms: Rooms, snapshot: Snapshot, lesson: Lesson) -> tuple[Router | None, tuple[str, ...]]:
    """The router, calibrated on held-out queries; that of a routed index with its leaf head trained on the
    others where they gain by it.
    """
    router = rooms.epoch(snapshot).router
    if router is None or router.n_leaves < 2:
        return None, ()
    given, seed = _examples(rooms, snapshot, router, lesson), rooms.settings.compile.seed
    if snapshot.n_chunks < rooms.settings.route.full_below:
        if len(given.queries) < LEAST_HELD:
            return None, ()
        return calibrate.warmed(router, given), _chances(router, given)
    held = aside(lesson.families, HELD_OUT, seed=seed)
    said: tuple[str, ...] = ()
    trained, verdict = heads.leaf_head(router, given.only(np.flatnonzero(~held)), seed=seed)
    if held.sum() >= LEAST_HELD:
        judges = given.only(np.flatnonzero(held))
        said = _chances(trained, judges)
        trained = calibrate.router(trained, judges, recall=rooms.settings.route.recall)
    word = "kept" if verdict.accepted else "refused"
    needed = trained.calibration.needed_share
    return trained, (
        f"router, held-out recall in its budgets: {verdict.untrained:.3f} → {verdict.trained:.3f}, {word}",
        f"leaves for a recall of {rooms.settings.route.recall}: {needed:.1%} of the chunks",
        *said,
    )


def _chances(router: Router, held: heads.Examples) -> tuple[str, ...]:
    """What calibrating does to the chances of leaves."""
    before, after = calibrate.leaf_errors(router, held)
    return (f"chance of the likeliest leaf, held-out calibration error: {before:.3f} → {after:.3f}",)


def _examples(rooms: Rooms, snapshot: Snapshot, router: Router, lesson: Lesson) -> heads.Examples:
    """Where the exhaustive hits of every query lie, and how BM25 votes on it."""
    keys = snapshot.keys()
    keys = keys[snapshot.leaf_of(keys) >= 0]
    vectors, docs = rooms.store.vectors(keys), snapshot.doc_keys(keys)
    offsets = np.searchsorted(snapshot.leaf_of(keys), np.arange(router.n_leaves + 1))
    votes = np.stack([gathering.leaf_votes(snapshot, router, asked.query) for asked in lesson.asked])
    return heads.examples(lesson.pairs.queries, vectors, offsets, docs=docs, votes=votes)
