"""What a candidate's company tells: a passage that resembles everything is near every question.

    crowd    mean cosine to the ten nearest candidates of other documents
    sought   mean cosine to the ten nearest of past questions, whatever they asked for
    kin      mean cosine to the ten candidates that the untrained sum puts first

A candidate near the question that has a crowd around it, or is near many questions, says less than one that
stands apart; one near what else was found says more. They are for the learned fusion to weigh: in the
untrained sum they gained nothing (bench/LOG.md). Sources: local scaling (CSLS), Conneau et al. 2018,
arXiv:1710.04087; the cluster hypothesis, Jardine and van Rijsbergen 1971, doi:10.1016/0020-0271(71)90051-9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numkong
import numpy as np
from numpy.typing import NDArray

NAMES = ("crowd", "sought", "kin")
NEAREST = 10
F32 = NDArray[np.float32]


def table(vectors: F32, docs: NDArray[np.int64], total: NDArray[np.floating], past: F32 | None) -> F32:
    """``NAMES`` of n candidates, [n, 3]: unit ``vectors`` [n, d], keys of their documents ``docs`` [n], the
    untrained sum ``total`` [n], ``past`` questions [m, d]. NaN for ``sought`` without any; where there are
    fewer than ten, those that lack count as 0.

    >>> table(np.eye(2, dtype=np.float32)[[0, 0, 1]], np.arange(3), np.ones(3), np.ones((1, 2))).round(2)
    array([[0.1 , 0.1 , 0.67],
           [0.1 , 0.1 , 0.67],
           [0.  , 0.1 , 0.33]], dtype=float32)
    """
    own = _Rounded.of(vectors)
    near = own.cosines(own)
    crowd = _nearest(np.where(docs[:, None] == docs, np.float32(0), near))
    sought = np.full(len(docs), np.nan, np.float32)
    if past is not None and len(past):
        sought = _nearest(own.cosines(_Rounded.of(past)))
    first = np.argsort(-np.nan_to_num(total, nan=-np.inf), kind="stable")[:NEAREST]
    kin = near[:, first].sum(axis=1) / max(len(first), 1)
    return np.stack([crowd, sought, kin], axis=1).astype(np.float32)


def _nearest(cosines: F32) -> F32:
    """The mean of the ten largest of each row [n, m]."""
    most = min(NEAREST, cosines.shape[1])
    best = np.partition(cosines, -most, axis=1)[:, -most:] if most else cosines
    return np.asarray(best.sum(axis=1) / NEAREST, np.float32)


@dataclass(frozen=True, slots=True)
class _Rounded:
    """Vectors [n, d] as whole steps: products a fifth as dear, the same on every processor, and stay on the
    thread that asks.
    """

    whole: NDArray[np.int8]
    step: float

    @classmethod
    def of(cls, vectors: F32) -> _Rounded:
        step = max(float(np.abs(vectors).max(initial=0.0)), 1e-9) / 127
        return cls(np.rint(vectors * np.float32(1 / step)).astype(np.int8), step)

    def cosines(self, other: _Rounded) -> F32:
        """All products of rows, [n, m]."""
        if not self.whole.size:
            return np.zeros((len(self.whole), len(other.whole)), np.float32)
        found = numkong.dots_packed(self.whole, numkong.dots_pack(other.whole))
        return np.asarray(found, np.float32) * np.float32(self.step * other.step)
