"""Reranking: late interaction, then the learned fusion over features, or the untrained sum without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import Candidates
from fingerpost.rerank import features, late
from fingerpost.rerank.codec import Codec
from fingerpost.rerank.forest import Forest
from fingerpost.rerank.matches import Passage
from fingerpost.retrieve import fuse
from fingerpost.route.memory import Memory
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.query import Query
from fingerpost.text.tokens import analyze

READ = 50
"""Candidates whose words are looked at: the learned fusion changes little below."""
MEMORY_COLUMNS = {
    "memory": "memory",
    "map": "memory_map",
    "nearest": "memory_knn",
    "trained": "memory_count",
}


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates with a score each. ``rows`` are the features, None where the untrained sum decides."""

    candidates: Candidates
    untrained: fuse.Fused
    scores: NDArray[np.float64]
    rows: NDArray[np.float32] | None = None

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions, best first; equal scores in the order of their keys."""
        return np.lexsort((self.candidates.keys, -self.scores))


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in all its forms."""

    query: Query
    encoded: EncodedQuery | None


@dataclass(frozen=True, slots=True)
class Judges:
    """Who ranks: the token codec, the docid memory and the forest, as far as an epoch has them."""

    codec: Codec | None = None
    memory: Memory | None = None
    forest: Forest | None = None


def rank(snapshot: Snapshot, asked: Asked, candidates: Candidates, judges: Judges, *, depth: int) -> Ranked:
    """Score candidates; ``depth`` of them, the best by the other legs, by late interaction."""
    scored = with_late(snapshot, asked.encoded, candidates, judges.codec, depth=depth)
    total = fuse.standardised(scored.scores)
    if judges.forest is None:
        return Ranked(scored, total, total.scores)
    rows = feature_rows(snapshot, asked, Ranked(scored, total, total.scores), judges.memory)
    return Ranked(scored, total, judges.forest.predict(rows), rows)


def with_late(
    snapshot: Snapshot,
    encoded: EncodedQuery | None,
    candidates: Candidates,
    codec: Codec | None,
    *,
    depth: int,
) -> Candidates:
    """The candidates with MaxSim scores; beyond ``depth`` they stay unscored (NaN)."""
    if encoded is None or codec is None or not len(candidates.keys) or not depth:
        return candidates
    first = np.argsort(-fuse.standardised(candidates.scores).scores, kind="stable")[:depth]
    codes = [bytes(code) for code in snapshot.token_codes(candidates.keys[first])]
    found = late.maxsim(codec, late.prepare(codec, encoded.tokens, encoded.token_ids), codes)
    columns = {"maxsim": found.idf, "maxsim_plain": found.plain}
    scores = {name: np.full(len(candidates.keys), np.nan, np.float32) for name in columns}
    for name, column in columns.items():
        scores[name][first] = column
    return Candidates(candidates.keys, candidates.docs, {**candidates.scores, **scores})


def feature_rows(
    snapshot: Snapshot, asked: Asked, ranked: Ranked, memory: Memory | None
) -> NDArray[np.float32]:
    """The features of every candidate, [n, F]."""
    candidates = ranked.candidates
    extra = memory_columns(snapshot, asked.encoded, candidates, memory)
    return features.build(
        features.Evidence(
            asked.query,
            candidates.scores,
            ranked.untrained.scores,
            candidates.docs,
            _passages(snapshot, ranked),
            extra,
            idf_of(snapshot, asked.query),
        )
    )


def idf_of(snapshot: Snapshot, query: Query) -> dict[str, float]:
    """BM25's idf of each of a query's terms."""
    return dict(zip(query.terms, snapshot.idf(query.terms).tolist(), strict=True))


def memory_columns(
    snapshot: Snapshot, encoded: EncodedQuery | None, candidates: Candidates, memory: Memory | None
) -> Mapping[str, NDArray[np.float32]]:
    """What the docid memory says of each candidate; nothing where nothing was learned."""
    if encoded is None or memory is None or not memory.trained:
        return {}
    columns = memory.columns(encoded.vector, candidates.docs, snapshot.vectors(candidates.keys))
    return {name: columns[own] for own, name in MEMORY_COLUMNS.items()}


def _passages(snapshot: Snapshot, ranked: Ranked) -> list[Passage | None]:
    keys = ranked.candidates.keys
    first = ranked.order[:READ]
    passages: list[Passage | None] = [None] * len(keys)
    for at, chunk in zip(first.tolist(), snapshot.chunks(keys[first]), strict=True):
        passages[at] = Passage(analyze(chunk.text), analyze(chunk.context), chunk.text)
    return passages
