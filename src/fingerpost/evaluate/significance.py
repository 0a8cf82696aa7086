"""Is the difference real? Bootstrap intervals of means and the paired randomisation test, both seeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64
_EXACT_BELOW = 14


def interval(
    values: NDArray[np.float64], *, level: float = 0.95, resamples: int = 1_000, seed: int = 0
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of the column means of ``values`` [n, m]: low and high, [2, m].

    All columns see the same resamples, so that what is paired stays paired (Efron 1979,
    10.1214/aos/1176344552). With no rows the bounds are NaN.

    >>> interval(np.array([[0.0], [1.0], [1.0], [1.0]]), seed=1).ravel().tolist()
    [0.25, 1.0]
    """
    count, columns = values.shape
    if count == 0:
        return np.full((2, columns), np.nan)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, columns))
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        drawn = rng.integers(0, count, size=(size, count))
        offsets = np.arange(size)[:, None] * count
        weights = np.bincount((drawn + offsets).ravel(), minlength=size * count).reshape(size, count)
        means[start : start + size] = weights @ values / count
    tail = (1 - level) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0)


def paired_p(
    first: NDArray[np.float64], second: NDArray[np.float64], *, resamples: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of the paired randomisation test on two systems' values for the same queries, [n] each.

    Under "no difference" each query's difference could as well have the other sign; p is the share of sign
    patterns whose mean is at least as far from 0 (Smucker, Allan, Carterette 2007,
    10.1145/1321440.1321528). Queries without a difference change nothing. Up to 14 differing queries all
    patterns are counted, beyond that drawn.

    >>> paired_p(np.array([1.0, 1.0, 1.0]), np.zeros(3))
    0.25
    """
    differences = first - second
    differences = differences[differences != 0.0]
    if not len(differences):
        return 1.0
    bound = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    if len(differences) <= _EXACT_BELOW:
        patterns = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1.0) @ differences) >= bound))
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        signs = 2.0 * rng.integers(0, 2, size=(size, len(differences)), dtype=np.int8) - 1.0
        extreme += int(np.sum(np.abs(signs @ differences) >= bound))
    return (extreme + 1) / (resamples + 1)
