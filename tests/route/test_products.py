"""Products with one query agree with numpy's, whatever the shape."""

from __future__ import annotations

import numpy as np
import pytest

from fingerpost.route.products import dots


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (700, 384), (3, 8, 384), (0, 8, 384), (2, 0)])
def test_products_agree_with_numpy(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=shape).astype(np.float32)
    query = random.normal(size=shape[-1]).astype(np.float32)
    found = dots(rows, query)
    assert found.dtype == np.float32
    assert found.shape == shape[:-1]
    assert found == pytest.approx(rows.astype(np.float64) @ query, abs=1e-4)
