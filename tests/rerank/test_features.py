"""The table of features: its names, its gaps, its speed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.growth import assert_linear

from fingerpost.errors import UsageError
from fingerpost.rerank import matches
from fingerpost.rerank.features import EXTRA, LEGS, NAMES, RISING, Evidence, build, gap, rank, standard
from fingerpost.rerank.matches import Passage
from fingerpost.text.query import parse

WORDS = [f"w{at}" for at in range(400)]


QUERY = parse("w1 w2 w3 w4 w5 w6")


def passages(looked_at: int, rng: np.random.Generator) -> list[Passage]:
    return [Passage([WORDS[at] for at in rng.integers(0, 400, 150)], ["w1"]) for _ in range(looked_at)]


def words(given: list[Passage | None]) -> np.ndarray:
    return matches.table(matches.ask(QUERY), given)


def evidence(size: int = 200, looked_at: int = 100, **changes) -> Evidence:
    rng = np.random.default_rng(0)
    read = passages(looked_at, rng)
    given = {
        "query": QUERY,
        "legs": {leg: rng.random(size).astype(np.float32) for leg in LEGS},
        "total": rng.random(size),
        "docs": rng.integers(0, 50, size),
        "words": words([*read, *[None] * (size - looked_at)]),
    }
    return Evidence(**(given | changes))


def column(rows, name):
    return rows[:, NAMES.index(name)]


def test_one_row_a_candidate_one_column_a_name():
    rows = build(evidence())
    assert rows.shape == (200, len(NAMES))
    assert rows.dtype == np.float32
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) >= RISING


def test_what_is_not_known_is_missing():
    legs = dict(evidence().legs) | {"lexical": np.where(np.arange(200) < 50, 1.0 + np.arange(200), np.nan)}
    rows = build(evidence(legs=legs))
    assert np.isnan(column(rows, "lexical_z")[50:]).all()
    assert np.isfinite(column(rows, "lexical_z")[:50]).all()
    assert np.isnan(column(rows, "coverage")[100:]).all()
    assert all(np.isnan(column(rows, name)).all() for name in EXTRA)


def test_recency_is_relative_and_neutral_where_it_is_missing():
    days = np.where(np.arange(200) < 100, 18_000.0 + np.arange(200), np.nan)
    values = column(build(evidence(extra={"recency": days})), "recency")
    assert np.allclose(values[:100], standard(days[:100]), atol=1e-5)
    assert (values[100:] == 0).all()
    shifted = column(build(evidence(extra={"recency": days + 5_000})), "recency")
    assert np.allclose(values, shifted, atol=1e-4)
    same = build(evidence(extra={"recency": np.full(200, 20_000.0)}))
    assert not column(same, "recency").any()


def test_columns_of_other_rooms_are_taken_by_name():
    rows = build(evidence(extra={"memory": np.arange(200.0), "router": np.full(200, -1.5)}))
    assert np.allclose(column(rows, "memory"), np.arange(200))
    assert abs(column(rows, "memory_z").mean()) < 1e-6
    assert (column(rows, "router") == -1.5).all()


def test_a_forest_of_an_earlier_version_gets_the_features_it_knows():
    fewer = [name for name in NAMES if not name.startswith("memory")]
    rows = build(evidence(), fewer)
    assert np.array_equal(rows, build(evidence())[:, [NAMES.index(name) for name in fewer]], equal_nan=True)
    with pytest.raises(UsageError, match="no_such"):
        build(evidence(), [*NAMES, "no_such"])


def test_company_is_told_where_there_are_vectors():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[:20] = vectors[0] + 0.01 * vectors[:20]  # twins, of many documents
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = build(evidence(vectors=vectors))
    assert column(rows, "crowd")[:20].min() > column(rows, "crowd")[20:].max()
    assert np.isnan(column(rows, "sought")).all()
    asked = build(evidence(vectors=vectors, past=vectors[20:21]))
    assert column(asked, "sought").argmax() == 20
    assert abs(column(asked, "kin_z").mean()) < 1e-6
    assert all(np.isnan(column(build(evidence()), name)).all() for name in ("crowd", "sought", "kin"))


def test_chunks_of_a_document_are_no_crowd():
    vectors = np.repeat(np.eye(4, 16, dtype=np.float32)[:1], 30, axis=0)
    alone = {"docs": np.zeros(30, np.int64), "vectors": vectors}
    assert (column(build(evidence(30, 0, **alone)), "crowd") == 0).all()
    among = column(build(evidence(30, 0, docs=np.arange(30), vectors=vectors)), "crowd")
    assert among == pytest.approx(np.ones(30), abs=1e-3)


def test_a_document_is_told_its_best_chunk():
    rows = build(evidence(size=3, looked_at=0, docs=np.array([7, 8, 7]), total=np.array([1.0, 2.0, 3.0])))
    best = column(rows, "document_best")
    assert best[0] == best[2] == column(rows, "sum_z")[2]
    assert np.allclose(np.expm1(column(rows, "document_count")), [2, 1, 2])


def test_the_order_of_candidates_does_not_matter():
    given = evidence()
    order = np.random.default_rng(1).permutation(200)
    shuffled = evidence(
        legs={leg: scores[order] for leg, scores in given.legs.items()},
        total=given.total[order],
        docs=given.docs[order],
        words=given.words[order],
    )
    assert np.allclose(build(shuffled), build(given)[order], atol=1e-5, equal_nan=True)


def test_ranks_and_gaps():
    assert rank(np.array([0.5, 0.5, 0.1, np.nan])).round(3).tolist()[:3] == [1.0, 1.0, 2.0]
    assert np.isnan(gap(np.array([1.0])))
    assert gap(np.array([2.0, 2.0])) == 0
    assert np.isnan(standard(np.array([np.nan]))).all()


def test_no_candidates():
    assert build(evidence(size=0, looked_at=0)).shape == (0, len(NAMES))


def test_candidates_take_linear_time():
    given = {size: evidence(size, size // 2) for size in (200, 3_200)}
    assert_linear(lambda size: build(given[size]), 3_200)
