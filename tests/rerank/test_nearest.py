"""The nearest centroids against the definition, in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fingerpost.rerank import nearest


@pytest.mark.parametrize(("rows", "subspaces", "size"), [(1, 17, 15), (150, 17, 15), (700, 4, 12), (0, 3, 5)])
def test_it_is_the_centroid_at_the_least_distance(rows, subspaces, size):
    rng = np.random.default_rng(rows)
    codebook = rng.integers(-127, 128, (subspaces, 256, size)).astype(np.int8)
    rest = rng.integers(-2_048, 2_049, (rows, subspaces * size)).astype(np.float32)
    found = nearest.nearest(rest, nearest.tables(codebook))
    assert found.shape == (rows, subspaces)
    parts = rest.astype(np.int64).reshape(rows, subspaces, 1, size)
    away = ((parts - nearest.FINE * codebook.astype(np.int64)) ** 2).sum(axis=3)
    assert np.array_equal(found, away.argmin(axis=2))


def test_of_equally_near_ones_it_is_the_first():
    codebook = np.zeros((2, 256, 3), np.int8)
    assert nearest.nearest(np.full((5, 6), 9, np.float32), nearest.tables(codebook)).max() == 0
