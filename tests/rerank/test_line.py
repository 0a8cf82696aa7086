"""The straight part of the learned fusion: the loss it minimises, bounds, gaps, and what few queries do."""

from __future__ import annotations

import numpy as np
import pytest

from fingerpost.rerank import line
from fingerpost.rerank.line import Line

NAMES = ("sum_z", "dense_z", "dense_rank")
FREE, RISING = (False, False, False), (True, True, False)


def queries(count: int, *, size: int = 20, seed: int = 0):
    """Queries whose right candidate has a high sum and a low ``dense_z``; a tenth of all values missing."""
    rng = np.random.default_rng(seed)
    tables, grades = [], []
    for _ in range(count):
        rows = rng.normal(size=(size, 3)).astype(np.float32)
        rows[0, :2] += [1.0, -2.0]
        rows[rng.random(rows.shape) < 0.1] = np.nan
        tables.append(rows)
        grades.append((np.arange(size) == 0).astype(np.int32))
    return tables, grades


def start(tables) -> Line:
    return Line(np.array([2.0, 0.0, 0.0]), line.worst(tables, NAMES))


def first(found: Line, tables) -> float:
    return float(np.mean([np.argmax(found.scores(rows)) == 0 for rows in tables]))


def test_it_learns_what_the_sum_does_not_know():
    tables, grades = queries(300)
    found = line.fit(tables, grades, start(tables), FREE)
    fresh = queries(200, seed=1)[0]
    assert found.weights[1] < -0.5
    assert first(found, fresh) > first(start(tables), fresh) + 0.2


def test_what_can_only_help_has_no_weight_below_zero():
    tables, grades = queries(300)
    found = line.fit(tables, grades, start(tables), RISING)
    assert found.weights[1] == 0
    assert found.weights[0] > 0


def test_few_queries_move_it_little():
    tables, grades = queries(300)
    begin = start(tables)
    few = line.fit(tables[:2], grades[:2], begin, FREE).weights
    many = line.fit(tables, grades, begin, FREE).weights
    assert 0 < abs(few[1]) < 0.5 * abs(many[1])


def test_only_some_of_many_queries_are_fitted(monkeypatch):
    tables, grades = queries(40)
    begin = start(tables)
    third = line.fit(tables[::3], grades[::3], begin, FREE)
    monkeypatch.setattr(line, "QUERIES", 14)
    assert np.array_equal(line.fit(tables, grades, begin, FREE).weights, third.weights)


def test_a_gap_counts_as_the_worst_and_adds_nothing():
    tables, _ = queries(50)
    worst = line.worst(tables, NAMES)
    assert worst[1] < -1 < 1 < worst[2]  # of a rank the largest
    found = Line(np.array([1.0, 2.0, -3.0]), worst)
    assert found.parts(np.full((1, 3), np.nan, np.float32)).tolist() == [[0, 0, 0]]
    rows = queries(1, seed=3)[0][0]
    assert np.allclose(found.scores(rows), found.parts(rows).sum(axis=1), atol=1e-12)
    assert found.scores(worst[None].astype(np.float32)) == pytest.approx(0, abs=1e-6)
    empty = np.full((4, 3), np.nan, np.float32)
    assert line.worst([empty, np.zeros((0, 3), np.float32)], NAMES).tolist() == [0, 0, 0]


def test_the_gradient_is_the_slope_of_the_loss():
    tables, grades = queries(12)
    inputs = np.nan_to_num(np.concatenate(tables))
    shares = np.concatenate(grades).astype(np.float64)
    loss = line._Loss(inputs, np.full(12, 20), shares, np.array([2.0, 0.0, 0.0]))
    at = np.array([0.7, -0.4, 0.2])
    value, slope = loss(at)
    scores = inputs.reshape(12, 20, 3) @ at
    plain = sum(np.log(np.exp(row).sum()) - row[0] for row in scores)
    assert value == pytest.approx(plain + line.HELD * ((at - loss.start) ** 2).sum(), rel=1e-5)
    for number in range(3):
        step = np.eye(3)[number] * 1e-2
        rise = (loss(at + step)[0] - loss(at - step)[0]) / 2e-2
        assert slope[number] == pytest.approx(rise, rel=1e-2, abs=1e-2)


def test_features_that_do_not_tell_candidates_apart_get_no_weight():
    tables, grades = queries(60)
    for at, rows in enumerate(tables):
        rows[:, 2] = at
    assert line.fit(tables, grades, start(tables), FREE).weights[2] == pytest.approx(0, abs=1e-3)
