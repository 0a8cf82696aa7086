"""Late interaction: every query token finds its best match among a passage's token vectors (MaxSim).

    similarities  [passages, query tokens]  the best cosine of each query token in each passage
    plain         their mean                (ColBERT's sum, independent of the query's length)
    idf           their mean weighted by the tokens' idf: words that tell passages apart count more

Queries and codes are compared in int8 without decoding to floats. Source: Khattab and Zaharia 2020,
doi:10.1145/3397271.3401075. Measured (bench/LOG.md): the idf-weighted mean is the best single leg here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numkong
import numpy as np
from numpy.typing import NDArray

from fingerpost.rerank.codec import Codec, Floats, Pieces, weights_of

MOST_TOKENS = 64  # of a longer query the tokens with the highest idf are compared


@dataclass(frozen=True, slots=True)
class LateQuery:
    """A query's tokens as they are compared with codes: int8 [q, dims] in steps of ``steps`` [q].

    ``offsets`` [q] is what the subtracted mean is worth; ``weights`` [q] sum to 1.
    """

    tokens: NDArray[np.int8]
    steps: Floats
    offsets: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class LateScores:
    """MaxSim of each passage (float32, NaN where a passage has no tokens) and what it is made of."""

    plain: Floats
    idf: Floats
    similarities: Floats


def prepare(codec: Codec, tokens: Floats, pieces: Pieces) -> LateQuery:
    """Rotate and quantise a query's unit token vectors [q, d]; ``pieces`` [q] are their word pieces."""
    weights = weights_of(pieces, codec.idf)
    chosen = np.sort(np.argsort(-weights, kind="stable")[:MOST_TOKENS])
    tokens, weights = np.asarray(tokens, np.float32)[chosen], weights[chosen]
    rotated = codec.rotated(tokens)
    steps = np.abs(rotated).max(axis=1, initial=1e-9) / 127
    total = weights.sum()
    shares = weights / total if total > 0 else np.full(len(weights), 1 / max(len(weights), 1))
    return LateQuery(
        np.rint(rotated / steps[:, None]).astype(np.int8),
        (steps * codec.scale).astype(np.float32),
        tokens @ codec.mean,
        shares.astype(np.float32),
    )


def maxsim(codec: Codec, query: LateQuery, codes: Sequence[bytes | memoryview]) -> LateScores:
    """The scores of passages given by their codes.

    Raises CorruptError (E_CORRUPT) for a code that this codec cannot have written.
    """
    best = np.full((len(codes), len(query.weights)), np.nan, np.float32)
    decoded = codec.decode(codes)
    filled = np.flatnonzero(np.diff(decoded.bounds))
    if len(filled) and best.shape[1]:
        packed = numkong.dots_pack(query.tokens)
        steps = np.asarray(numkong.dots_packed(decoded.vectors, packed)) * decoded.stretch[:, None]
        best[filled] = np.maximum.reduceat(steps, decoded.bounds[filled], axis=0) * query.steps
        best[filled] += query.offsets
    if not best.shape[1]:
        silent = np.full(len(codes), np.nan, np.float32)
        return LateScores(silent, silent, best)
    return LateScores(best.mean(axis=1), best @ query.weights, best)
