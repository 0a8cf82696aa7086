"""What one search was asked, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.epoch import Epoch
from fingerpost.index.search.ranking import Asked, Ranked
from fingerpost.records import Chunk, Plan, Trace
from fingerpost.store.permits import Allow
from fingerpost.store.snapshot import MAX_K, Snapshot
from fingerpost.text import labels

Keys = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Request:
    """One search: what is asked, what it may see, and among how many results a document should be.
    ``hypothetical`` text is made-up evidence: it is encoded as passages are. UsageError E_PRINCIPAL.
    """

    text: str
    filters: Sequence[str] = ()
    principals: Sequence[str] = ()
    hypothetical: bool = False
    k: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "principals", labels.held(self.principals))


@dataclass(frozen=True)
class Found:
    """The ranking of one search, with all that explains it."""

    asked: Asked
    snapshot: Snapshot
    allow: Allow | None
    epoch: Epoch
    plan: Plan
    ranked: Ranked
    trace: Trace

    @property
    def keys(self) -> Keys:
        """Chunk keys, best first."""
        return self.ranked.candidates.keys[self.ranked.order]

    @property
    def scores(self) -> Scores:
        """Their scores."""
        return self.ranked.scores[self.ranked.order].astype(np.float32)

    def chunks(self, keys: Keys) -> list[Chunk]:
        """Chunks by key: those that ranking has read, the others from the store."""
        return self.ranked.chunks(self.snapshot, keys)

    def parts(self, at: Sequence[int]) -> list[dict[str, float]]:
        """What the scores of the candidates at these positions of the ranking are made of."""
        ranked, forest = self.ranked, self.epoch.judges.forest
        places = ranked.order[list(at)].tolist()
        if forest is None or ranked.rows is None:
            factors = [ranked.untrained.parts(place) for place in places]
        else:
            factors = forest.explain(ranked.rows[places])
        dealt = np.zeros(len(ranked.scores)) if ranked.dealt is None else ranked.dealt
        later = {"exact": ranked.lifted, "cross_encoder": dealt}
        return [
            {**own, **{name: float(added[place]) for name, added in later.items() if added[place]}}
            for own, place in zip(factors, places, strict=True)
        ]

    def exhaustive(self) -> Mapping[str, Keys]:
        """Each leg's ranking of everything the caller may see, to any depth: what a miss is judged by."""
        most = max(1, min(self.snapshot.n_chunks, MAX_K))
        ranked = {"lexical": self.snapshot.lexical(self.asked.query, k=most, allow=self.allow)[0]}
        if self.asked.encoded is not None:
            ranked["dense"] = self.snapshot.dense(self.asked.encoded.vector, k=most, allow=self.allow)[0]
        return ranked
