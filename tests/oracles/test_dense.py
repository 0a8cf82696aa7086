"""The dense leg against brute force in float32."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerpost.store.vectors import Slices, dots, largest, quantize, runs_of

N, D, K = 12_000, 384, 10


@pytest.fixture(scope="module")
def matrix() -> NDArray[np.float32]:
    """Unit vectors in sixty loose clusters: neighbours are close, as embeddings of one topic are."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((60, D))
    rows = centres[rng.integers(0, 60, N)] + 0.6 * rng.standard_normal((N, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def slices(matrix: NDArray[np.float32]) -> Slices:
    exact = matrix.astype(np.float16)
    return Slices(exact, *quantize(exact))


def queries(matrix: NDArray[np.float32], count: int = 100) -> NDArray[np.float32]:
    rng = np.random.default_rng(8)
    noisy = matrix[rng.integers(0, N, count)] + 0.03 * rng.standard_normal((count, D))
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def agreement(
    slices: Slices,
    matrix: NDArray[np.float32],
    *,
    runs: list[tuple[int, int]],
    mask: NDArray[np.bool_] | None = None,
) -> float:
    allowed = np.zeros(N, dtype=np.bool_)
    for start, end in runs:
        allowed[start:end] = True
    if mask is not None:
        allowed &= mask
    same = 0
    for query in queries(matrix):
        scores = np.where(allowed, matrix @ query, -np.inf)
        best = set(np.argsort(-scores, kind="stable")[:K].tolist())
        rows, found, scored = slices.search(query, k=K, runs=runs, mask=mask)
        assert scored == int(allowed.sum())
        np.testing.assert_allclose(found, (matrix @ query)[rows], atol=2e-3)
        same += len(best & set(rows.tolist()))
    return same / (K * 100)


def test_whole_scan(slices: Slices, matrix: NDArray[np.float32]) -> None:
    assert agreement(slices, matrix, runs=[(0, N)]) >= 0.99


def test_some_leaves(slices: Slices, matrix: NDArray[np.float32]) -> None:
    offsets = np.arange(0, N + 1, 200)
    leaves = np.random.default_rng(1).choice(60, 25, replace=False).astype(np.int32)
    assert agreement(slices, matrix, runs=runs_of(leaves, offsets)) >= 0.99


@pytest.mark.parametrize("share", [0.001, 0.05, 0.6])
def test_only_what_is_allowed(slices: Slices, matrix: NDArray[np.float32], share: float) -> None:
    mask = np.random.default_rng(2).random(N) < share
    assert agreement(slices, matrix, runs=[(0, 5_000), (6_000, N)], mask=mask) >= 0.99


def test_the_last_word_is_as_exact_as_float32(matrix: NDArray[np.float32]) -> None:
    """On every processor, those too that could add up in float16."""
    exact, query = matrix.astype(np.float16), matrix[3].astype(np.float16)
    right = exact.astype(np.float64) @ query.astype(np.float64)
    np.testing.assert_allclose(dots(query, exact), right, atol=1e-6)


def test_a_zero_vector_spoils_nothing(matrix: NDArray[np.float32]) -> None:
    exact = matrix.astype(np.float16)
    exact[::50] = 0
    codes, scale = quantize(exact)
    assert (scale[::50] == 0).all()
    rows, scores, _ = Slices(exact, codes, scale).search(matrix[1], k=K, runs=[(0, N)], mask=None)
    assert rows[0] == 1
    assert np.isfinite(scores).all()


def test_the_threshold_finds_the_largest_and_their_equals() -> None:
    rng = np.random.default_rng(3)
    for values in (rng.standard_normal(5_000), np.sort(rng.standard_normal(5_000)), np.zeros(5_000)):
        scores = values.astype(np.float32)
        scores[::3] = -np.inf
        for count in (1, 40, 500, 4_999, 6_000):
            found = largest(scores, count)
            expected = np.sort(scores)[::-1][:count]
            np.testing.assert_array_equal(np.sort(scores[found])[::-1][:count], expected)
            assert sorted(found.tolist()) == np.flatnonzero(scores >= expected[-1]).tolist()
