"""Late interaction: every query token finds its best match among a passage's token vectors (MaxSim).

    similarities  [passages, query tokens]  the best cosine of each query token in each passage
    plain         their mean                (ColBERT's sum, independent of the query's length)
    idf           their mean weighted by the tokens' idf: words that tell passages apart count more
    pairs         the same for two neighbouring query tokens that meet in two neighbouring passage tokens, in
                  either order, to the power of three: the words that answer stand together. Neighbours are
                  what the codec would keep of a text: common pieces do not stand between others

Queries and codes are compared in int8 without decoding to floats. Source: Khattab and Zaharia 2020,
doi:10.1145/3397271.3401075. Measured (bench/LOG.md): the idf-weighted mean is the best single leg here,
and ``pairs`` add most to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numkong
import numpy as np
from numpy.typing import NDArray

from fingerpost.rerank.codec import Codec, Floats, Pieces, weights_of

MOST_TOKENS = 64  # of a longer query the tokens with the highest idf are compared
PAIR_POWER = 3  # two good matches side by side are worth more than many middling ones


@dataclass(frozen=True, slots=True)
class LateQuery:
    """A query's tokens as they are compared with codes: int8 [q, dims] in steps of ``steps`` [q].

    ``offsets`` [q] is what the subtracted mean is worth; ``weights`` [q] sum to 1. ``telling`` [q] are those
    that pairs are made of.
    """

    tokens: NDArray[np.int8]
    steps: Floats
    offsets: Floats
    weights: Floats
    telling: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LateScores:
    """MaxSim of each passage (float32, NaN where a passage has no tokens) and what it is made of."""

    plain: Floats
    idf: Floats
    pairs: Floats
    similarities: Floats


def prepare(codec: Codec, tokens: Floats, pieces: Pieces) -> LateQuery:
    """Rotate and quantise a query's unit token vectors [q, d]; ``pieces`` [q] are their word pieces."""
    weights = weights_of(pieces, codec.idf)
    chosen = np.sort(np.argsort(-weights, kind="stable")[:MOST_TOKENS])
    tokens, weights, pieces = np.asarray(tokens, np.float32)[chosen], weights[chosen], pieces[chosen]
    rotated = codec.rotated(tokens)
    steps = np.abs(rotated).max(axis=1, initial=1e-9) / 127
    total = weights.sum()
    shares = weights / total if total > 0 else np.full(len(weights), 1 / max(len(weights), 1))
    return LateQuery(
        np.rint(rotated / steps[:, None]).astype(np.int8),
        (steps * codec.scale).astype(np.float32),
        tokens @ codec.mean,
        shares.astype(np.float32),
        codec.keeps(pieces),
    )


def maxsim(codec: Codec, query: LateQuery, codes: Sequence[bytes | memoryview]) -> LateScores:
    """The scores of passages given by their codes.

    Raises CorruptError (E_CORRUPT) for a code that this codec cannot have written.
    """
    best = np.full((len(codes), len(query.weights)), np.nan, np.float32)
    pairs = np.full(len(codes), np.nan, np.float32)
    decoded = codec.decode(codes)
    filled = np.flatnonzero(np.diff(decoded.bounds))
    if len(filled) and best.shape[1]:
        packed = numkong.dots_pack(query.tokens)
        cosines = np.asarray(numkong.dots_packed(decoded.vectors, packed)) * decoded.stretch[:, None]
        cosines *= query.steps
        cosines += query.offsets
        best[filled] = np.maximum.reduceat(cosines, decoded.bounds[filled], axis=0)
        if not query.telling.all():
            cosines = cosines[:, query.telling]
        pairs[filled] = _side_by_side(cosines, decoded.bounds[filled], query.weights[query.telling])
    if not best.shape[1]:
        silent = np.full(len(codes), np.nan, np.float32)
        return LateScores(silent, silent, silent, best)
    return LateScores(best.mean(axis=1), best @ query.weights, pairs, best)


def _side_by_side(cosines: Floats, first: NDArray[np.int64], weights: Floats) -> Floats:
    """How well pairs of neighbouring query tokens meet in neighbouring tokens of each passage, [passages].

    ``cosines`` [T, q] of all passages one after the other, none empty, each from its ``first`` row on. A pair
    is worth the mean cosine of its best meeting, cubed, and weighs what both tokens weigh; a lone query token
    is its own pair, and a lone token of a passage meets none.

    >>> cosines = np.array([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 0], [0, 1]], np.float32)
    >>> _side_by_side(cosines, np.array([0, 2, 4]), np.array([0.5, 0.5], np.float32)).tolist()
    [1.0, 1.0, 0.125]
    """
    if cosines.shape[1] == 1:
        return np.asarray(np.maximum(np.maximum.reduceat(cosines[:, 0], first), 0) ** PAIR_POWER, np.float32)
    meeting = np.zeros((len(cosines), cosines.shape[1] - 1), np.float32)
    np.add(cosines[:-1, :-1], cosines[1:, 1:], out=meeting[:-1])
    np.maximum(meeting[:-1], cosines[1:, :-1] + cosines[:-1, 1:], out=meeting[:-1])
    meeting[first[1:] - 1] = 0  # the last token of a passage does not neighbour the next one's first
    best = np.maximum(np.maximum.reduceat(meeting, first, axis=0) / 2, 0)
    together = weights[:-1] + weights[1:]
    return np.asarray(best**PAIR_POWER @ (together / together.sum()), np.float32)
