"""Where the router sends a query: the address tree, shard by shard, as far as the asker may know it."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.search import gathering
from fingerpost.index.search.found import Found
from fingerpost.models.encoder import EncodedQuery
from fingerpost.records import Explanation
from fingerpost.route.router import Router
from fingerpost.text.counts import counted

SHOWN_LEAVES = 8
SHOWN_TITLE = 48


@dataclass(frozen=True)
class _Tree:
    """The router's leaves for one query: the chance of each [L] and BM25's votes for it [L]. ``told`` is
    whether the asker sees every chunk: what leaves are about, and how large they are, is taken from all of
    them.
    """

    found: Found
    router: Router
    scores: NDArray[np.float32]
    chances: NDArray[np.float32]
    votes: NDArray[np.float32]
    told: bool

    @classmethod
    def of(cls, found: Found, router: Router, encoded: EncodedQuery) -> _Tree:
        votes = gathering.leaf_votes(found.snapshot, router, found.asked.query, found.allow)
        scores = router.score(encoded.vector, votes)
        told = found.allow is None or found.allow.n_chunks == found.snapshot.n_chunks
        return cls(found, router, scores, router.chances(scores), votes, told)

    def shard(self, first: int, leaves: list[int]) -> Explanation:
        """A shard with the leaves of it that are shown."""
        own = [at for at, address in enumerate(self.router.addresses) if address[0] == first]
        size = f", {counted(int(self.router.statistics.counts[own].sum()), 'chunk')}" if self.told else ""
        known = counted(len(own), "leaf", "leaves") + size
        return Explanation(str(first), self._chance(own), known, tuple(map(self._leaf, leaves)))

    def _leaf(self, leaf: int) -> Explanation:
        plan = self.found.plan
        opened = "opened" if plan.full or leaf in plan.leaves else "not opened"
        votes = counted(int(self.votes[leaf]), "vote") + " of BM25"
        note = " · ".join([*self._about(leaf), votes, opened])
        return Explanation(".".join(map(str, self.router.addresses[leaf])), self._chance([leaf]), note)

    def _about(self, leaf: int) -> list[str]:
        """The words of a leaf, a title of it, and its size."""
        known = self.found.epoch.addresses
        if not self.told or leaf >= len(known):
            return []
        terms, title = known[leaf].get("terms"), known[leaf].get("title")
        words = ", ".join(map(str, terms)) if isinstance(terms, list) else ""
        example = f"as in “{shorten(str(title), SHOWN_TITLE, placeholder=' …')}”" if title else ""
        size = counted(int(self.router.statistics.counts[leaf]), "chunk")
        return [part for part in (words, example, size) if part]

    def _chance(self, leaves: list[int]) -> str:
        return f"{self.chances[leaves].sum():.2f}"


def shards(found: Found, *, opened: bool = False) -> tuple[Explanation, ...]:
    """The best leaves under their shards, best first; only those that were ``opened`` where that is asked.
    Nothing where the index has no router, or no encoder.
    """
    router, encoded = found.epoch.router, found.asked.encoded
    if router is None or encoded is None or (opened and found.plan.full):
        return ()
    tree = _Tree.of(found, router, encoded)
    best = np.argsort(-tree.scores, kind="stable").tolist()
    shown = [leaf for leaf in best if not opened or leaf in found.plan.leaves][:SHOWN_LEAVES]
    first = dict.fromkeys(router.addresses[leaf][0] for leaf in shown)
    return tuple(
        tree.shard(number, [leaf for leaf in shown if router.addresses[leaf][0] == number])
        for number in first
    )
