"""When a gain on held-out questions is proof enough: the level at which chance passes is stated.

The test is Fisher's paired randomization, one-sided: were the ranking no better than before, a question
would be as likely to lose what it gained, so the signs of the gains are drawn anew many times (Smucker et al.
2007, doi:10.1145/1321440.1321528). Questions about the same document win and lose together – what the memory
learned of it from some of them moves it for the others – so they share a sign: with one each chance would
pass at three times the level (bench/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_GAIN = 0.005
"""nDCG@10 below which a gain is not worth an epoch (``matters``)."""
LEVELS = ((100, 0.16), (0, 0.025))
"""From so many questions on, the chance with which a lesson may pass that has taught nothing. One standard
error (.16) is enough of many: lessons of labels at random do not gain nothing, they lose (bench/LOG.md), and
many real ones gain little at a time. Of few, that is a handful of questions.
"""
DRAWS = 10_000
_BLOCK = 4_000_000

F64 = NDArray[np.float64]


def matters(gain: float, error: float) -> bool:
    """Whether a mean gain in nDCG@10 is more than its standard error, and enough to act on: a sixth of all
    random lessons gain one standard error, but hardly half a point.

    >>> matters(0.01, 0.004), matters(0.01, 0.02), matters(0.004, 0.001)
    (True, False, False)
    """
    return gain > max(error, LEAST_GAIN)


def proven(gains: F64, documents: Sequence[str], *, level: float | None = None, seed: int = 0) -> bool:
    """Whether questions about ``documents`` [n] gain [n] by a lesson: by chance at ``level`` at most, that of
    ``LEVELS`` where none is named.

    >>> gains = np.array([0.0] * 30 + [0.4] * 8 + [-0.3] * 2)
    >>> proven(gains, [str(at) for at in range(40)]), proven(gains, [str(at // 8) for at in range(40)])
    (True, False)
    """
    if level is None:
        level = next(most for least, most in LEVELS if len(gains) >= least)
    return bool(gains.mean() > LEAST_GAIN) and chance(gains, documents, seed=seed) <= level


def chance(gains: F64, documents: Sequence[str], *, seed: int = 0) -> float:
    """How often signs at random, one a document, make a mean gain as large as that of ``gains`` [n]: the
    p-value.

    >>> round(chance(np.array([0.1] * 5), list("abcde")), 2), chance(np.array([0.1] * 5), list("aaaaa")) > 0.4
    (0.03, True)
    """
    _, which = np.unique(np.array(documents, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(which, weights=gains)
    random, moved = np.random.default_rng(seed), sums[sums != 0]
    at_once = max(1, _BLOCK // max(1, len(moved)))
    as_good = 0
    for start in range(0, DRAWS, at_once):
        shape = min(at_once, DRAWS - start), len(moved)
        signs = 1.0 - 2.0 * random.integers(0, 2, shape, dtype=np.int8)
        as_good += int((signs @ moved >= moved.sum() - 1e-9).sum())
    return (1 + as_good) / (1 + DRAWS)
