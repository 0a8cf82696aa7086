"""The router: which leaves hold what a query asks for, and whether to trust that.

    score = w₁·(μ·q) + w₂·σ(q) + w₃·max sub-centroid·q + w₄·BM25 votes + b + (W q)

μ, σ and the sub-centroids come from the vectors (statistics.py). Untrained, w = (1, δ, 0, ν) and b = W = 0:
the optimist rule. Trained (train.py), w, b and a W held near 0 are learned. BM25 itself is never routed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import RouteSettings
from fingerpost.errors import InputError
from fingerpost.records import Address, Plan
from fingerpost.route import statistics
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pack import expect, pack, unpack
from fingerpost.route.products import dots
from fingerpost.route.statistics import CENTRES, RANK, Statistics
from fingerpost.text.counts import counted

OPTIMISM = 4.0
"""δ of the untrained rule; 3–5 measured alike."""
VOTE = 0.5
"""What a leaf gains in the untrained rule when it holds all of BM25's best chunks."""
TEMPERATURE = 0.03
UNCALIBRATED = 2.5
"""What the scores of the untrained rule are divided by to be probabilities, where nothing better is known:
the mean of four sets, each between 2.2 and 3.4, chosen on their training questions.
"""
WIDE, WIDE_SHARE = 128, 0.05
FEW, FEW_SHARE = 64, 0.02
"""Leaves whose score is bounded, and worked out: so many, or that share of all where that is more."""
FULL_SHARE = 0.35
"""When routing would need a larger share than this, everything is searched."""


@dataclass(frozen=True, slots=True)
class Head:
    """What training adds.

    ``weights`` (4,), ``bias`` [L], ``matrix`` [L, d]; ``trained`` says whether it was accepted.
    """

    weights: F32
    bias: F32
    matrix: F32
    trained: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """What held-out queries taught: least familiarity, share needed for the recall target, audits'
    verdict, and what the scores are divided by to be probabilities (0: not known).
    """

    familiar: float = -1.0
    needed_share: float = 0.0
    off: str = ""
    temperature: float = 0.0


@dataclass(frozen=True)
class Router:
    """One epoch of the router over L leaves."""

    statistics: Statistics
    addresses: tuple[Address, ...]
    head: Head
    calibration: Calibration = field(default_factory=Calibration)
    epoch: int = 0

    @classmethod
    def fit_statistics(
        cls,
        vectors: NDArray[np.floating],
        leaf_offsets: NDArray[np.integer],
        *,
        addresses: Sequence[Address],
        epoch: int = 0,
        seed: int = 0,
    ) -> Router:
        """The untrained router of vectors [N, d] sorted by leaf."""
        found = statistics.fit(vectors, leaf_offsets, seed=seed)
        return cls(found, tuple(addresses), untrained(len(addresses), vectors.shape[1]), epoch=epoch)

    @property
    def n_leaves(self) -> int:
        """L."""
        return len(self.addresses)

    @property
    def trained(self) -> bool:
        """Whether a trained head is in use (else the optimist rule)."""
        return self.head.trained

    @property
    def taught(self) -> bytes:
        """A digest of what it learned that no fold changes: which router this is."""
        own = f"{self.head.trained} {self.head.weights.tolist()} {self.calibration}"
        return blake2b(own.encode(), digest_size=8).digest()

    def score(self, query: F32, votes: NDArray[np.floating] | None = None) -> F32:
        """A score per leaf, [L] float32, for ``query`` [d] and BM25 ``votes`` [L] (how many of its best
        chunks lie there).

        Worked out in three steps, each for fewer leaves than the one before, since a product with every leaf
        costs more than the chunks that are opened: μ·q with the mean spread for all, σ's diagonal and W q for
        the best ``WIDE`` of them, the rest for the best ``FEW``. The others keep their order, below these.
        Scores are logits: see ``chances``.
        """
        query = _checked(query, self.statistics.sums.shape[1])
        return self._scores(query, dots(self.statistics.mean, query), votes)

    def _scores(self, query: F32, mean: F32, votes: NDArray[np.floating] | None) -> F32:
        """``score`` where the products ``mean`` [L] with every leaf's μ are known."""
        w, first = self.head.weights, self._linear(votes)
        scores: F32 = np.asarray(
            first + (w[0] + w[2]) * mean + w[1] * self.statistics.typical, dtype=np.float32
        )
        for count, step in zip(worked_out(self.n_leaves), (self._bound, self._refined), strict=True):
            leaves = _best(scores, count)
            better = first[leaves] + step(query, leaves, mean[leaves])
            scores[leaves] = -np.inf
            scores -= max(0.0, float(scores.max()) - float(better.min()))
            scores[leaves] = better
        return scores

    def _bound(self, query: F32, leaves: I64, mean: F32) -> F32:
        """μ·q, the diagonal part of σ and W q of some leaves, the best sub-centroid taken for the mean."""
        w = self.head.weights
        rough = np.sqrt(np.maximum(dots(self.statistics.variance[leaves], query * query), 0.0))
        return np.asarray((w[0] + w[2]) * mean + w[1] * rough + self._moved(query, leaves), dtype=np.float32)

    def _refined(self, query: F32, leaves: I64, mean: F32) -> F32:
        """The whole score of some leaves, without what does not depend on the query's vector."""
        w = self.head.weights
        refined = w[0] * mean + w[1] * self.statistics.sigma(query, leaves) + self._moved(query, leaves)
        if w[2]:
            refined = refined + w[2] * self.statistics.nearest_centre(query, leaves)
        return np.asarray(refined, dtype=np.float32)

    def _moved(self, query: F32, leaves: I64) -> F32 | float:
        """W q of some leaves."""
        return dots(self.head.matrix[leaves], query) if self.head.trained else 0.0

    def chances(self, scores: NDArray[np.floating]) -> F32:
        """Scores [L] as probabilities: the share of the ten nearest chunks that is expected in each leaf."""
        plain = 1.0 if self.trained else UNCALIBRATED
        return softmax(scores / (self.calibration.temperature or plain))

    def familiarity(self, query: F32) -> float:
        """The largest μ·q: how near the query comes to any leaf. Small means out of distribution."""
        return float(dots(self.statistics.mean, query).max())

    def plan(
        self, query: F32, votes: NDArray[np.floating] | None, *, settings: RouteSettings, n_chunks: int
    ) -> Plan:
        """Where to look for ``query``: the best leaves within the budget, or everything, and why."""
        why = self.resting(settings, n_chunks)
        if not why:
            query = _checked(query, self.statistics.sums.shape[1])
            mean = dots(self.statistics.mean, query)
            why = self._strange(float(mean.max()))
        if why:
            return Plan(legs=("lexical", "dense"), full=True, reason=f"full search: {why}")
        scores = self._scores(query, mean, votes)
        chosen, share = self._within(scores, settings)
        if share > FULL_SHARE:
            return Plan(
                legs=("lexical", "dense"), full=True, reason=f"full search: would need {share:.0%} of it"
            )
        chances = self.chances(scores)[chosen].astype(np.float64).round(6)
        rule = "trained" if self.trained else "optimist"
        return Plan(
            legs=("lexical", "dense", "neighbours"),
            full=False,
            leaves=(leaves := tuple(chosen.tolist())),
            addresses=tuple(map(self.addresses.__getitem__, leaves)),
            probabilities=tuple(chances.tolist()),
            reason=f"{rule}: {len(chosen)} of {self.n_leaves} leaves, {share:.1%} of the chunks",
        )

    def changed(self, vectors: NDArray[np.floating], leaves: I64, *, sign: int) -> Router:
        """The router after chunks came (1) or went (−1): statistics only, no training."""
        return replace(self, statistics=self.statistics.changed(vectors, leaves, sign=sign))

    def untaught(self) -> Router:
        """The router of the same leaves as if it had never been trained or calibrated."""
        head = untrained(self.n_leaves, self.statistics.sums.shape[1])
        return replace(self, head=head, calibration=Calibration())

    def refolded(
        self,
        vectors: NDArray[np.floating],
        leaf_offsets: NDArray[np.integer],
        *,
        addresses: Sequence[Address],
    ) -> Router:
        """The router over a new layout: fresh statistics; leaves that kept their address keep what they
        learned.
        """
        fresh = Router.fit_statistics(vectors, leaf_offsets, addresses=addresses, epoch=self.epoch)
        old = {address: at for at, address in enumerate(self.addresses)}
        kept = [(new, old[address]) for new, address in enumerate(addresses) if address in old]
        bias, matrix = fresh.head.bias.copy(), fresh.head.matrix.copy()
        if kept:
            new, was = (np.array(part) for part in zip(*kept, strict=True))
            bias[new], matrix[new] = self.head.bias[was], self.head.matrix[was]
        head = Head(self.head.weights, bias, matrix, self.head.trained)
        return replace(fresh, head=head, calibration=self.calibration)

    def misfit(self, leaf_offsets: NDArray[np.integer], dim: int) -> str:
        """Why this router was not made for leaves at ``leaf_offsets`` [L + 1] of ``dim`` dimensions, or "".

        A router of another corpus or epoch, even one with as many leaves, counts other chunks in them.
        """
        own, sizes = self.statistics, np.diff(leaf_offsets)
        if own.sums.shape != (len(sizes), dim):
            leaves, wide = own.sums.shape
            return (
                f"the router knows {leaves} leaves of {wide} dimensions, the index has {len(sizes)} of {dim}"
            )
        differ = int((own.counts != sizes).sum())
        return f"the router counts other chunks in {differ} of {len(sizes)} leaves" if differ else ""

    def to_bytes(self) -> bytes:
        """The router as a safetensors artifact (large arrays in float16)."""
        s, h, c = self.statistics, self.head, self.calibration
        arrays: dict[str, NDArray[Any]] = {
            "counts": s.counts, "sums": s.sums, "squares": s.squares, "projected": s.projected,
            "directions": s.directions.astype(np.float16), "centres": s.centres.astype(np.float16),
            "addresses": np.array(self.addresses, dtype=np.int32), "weights": h.weights, "bias": h.bias,
        }  # fmt: skip
        if h.trained:
            arrays["matrix"] = h.matrix.astype(np.float16)
        facts = {
            "trained": h.trained, "epoch": self.epoch, "familiar": c.familiar,
            "needed_share": c.needed_share, "off": c.off, "temperature": c.temperature,
        }  # fmt: skip
        return pack("router", arrays, facts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Router:
        """Read what ``to_bytes`` wrote. Raises ModelError or FingerprintError on anything else."""
        arrays, facts = unpack("router", data)
        leaves, dim = arrays["sums"].shape if "sums" in arrays and arrays["sums"].ndim == 2 else (0, 0)
        expect("router", arrays, _shapes(leaves, dim, trained=bool(facts.get("trained"))))
        wide = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind == "f"}
        found = Statistics(
            arrays["counts"].astype(np.int64), wide["sums"], wide["squares"], wide["directions"],
            wide["projected"], wide["centres"],
        )  # fmt: skip
        matrix = wide.get("matrix", np.zeros((leaves, dim), dtype=np.float32))
        return cls(
            found,
            tuple(tuple(int(n) for n in row) for row in arrays["addresses"].tolist()),
            Head(wide["weights"], wide["bias"], matrix, bool(facts["trained"])),
            Calibration(
                _number(facts["familiar"]),
                _number(facts["needed_share"]),
                str(facts["off"]),
                _number(facts.get("temperature", 0.0)),
            ),
            int(_number(facts["epoch"])),
        )

    def _linear(self, votes: NDArray[np.floating] | None) -> F32:
        if votes is None:
            return self.head.bias
        return np.asarray(
            self.head.bias + self.head.weights[3] * vote_share(votes, self.n_leaves), dtype=np.float32
        )

    def _within(self, scores: F32, settings: RouteSettings) -> tuple[NDArray[np.int32], float]:
        """The best leaves whose chunks fit the budget (one at least), and their share."""
        budget = settings.budget
        if 0 < self.calibration.needed_share <= FULL_SHARE:
            budget = min(budget, self.calibration.needed_share)
        total = max(int(self.statistics.counts.sum()), 1)
        order = _first(scores, int(1.5 * budget * self.n_leaves) + FEW)
        held = np.cumsum(self.statistics.counts[order])
        if held[-1] <= budget * total:
            order = _first(scores, self.n_leaves)
            held = np.cumsum(self.statistics.counts[order])
        count = max(1, int(np.searchsorted(held, budget * total, side="right")))
        return order[:count].astype(np.int32), float(held[count - 1] / total)

    def resting(self, settings: RouteSettings, n_chunks: int) -> str:
        """Why no query at all is routed, or ""."""
        if n_chunks < settings.full_below:
            return f"{counted(n_chunks, 'chunk')}, routing starts at {settings.full_below:,}"
        if self.n_leaves < 2:
            return "one leaf"
        if self.calibration.off:
            return self.calibration.off
        if self.calibration.needed_share > FULL_SHARE:
            return f"recall {settings.recall} would need {self.calibration.needed_share:.0%} of the chunks"
        return ""

    def _strange(self, familiar: float) -> str:
        """Why a query that comes so near to its nearest leaf is searched for in full, or ""."""
        least = self.calibration.familiar
        return f"unlike the queries calibrated on ({familiar:.2f} < {least:.2f})" if familiar < least else ""


def worked_out(leaves: int) -> tuple[int, int]:
    """How many of so many leaves have their score bounded, and how many worked out.

    >>> worked_out(549), worked_out(5_400)
    ((128, 64), (270, 108))
    """
    return max(WIDE, int(WIDE_SHARE * leaves)), max(FEW, int(FEW_SHARE * leaves))


def _best(scores: F32, count: int) -> I64:
    """The leaves of the ``count`` largest scores, ascending."""
    if count >= len(scores):
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, count - 1)[:count])


def _first(scores: F32, count: int) -> I64:
    """The leaves of the ``count`` largest scores and of all that equal the last of them, best first, equal
    ones as they are numbered: the beginning of a sort of all, at a tenth of its cost.
    """
    falling = -scores
    if count >= len(scores):
        return np.argsort(falling, kind="stable")
    near = np.flatnonzero(falling <= np.partition(falling, count - 1)[count - 1])
    return near[np.argsort(falling[near], kind="stable")]


def untrained(leaves: int, dim: int) -> Head:
    """The optimist rule for that many leaves."""
    weights = np.array([1.0, OPTIMISM, 0.0, VOTE], dtype=np.float32) / np.float32(TEMPERATURE)
    return Head(weights, np.zeros(leaves, np.float32), np.zeros((leaves, dim), np.float32))


def softmax(scores: NDArray[np.floating]) -> F32:
    """Probabilities over the last axis.

    >>> softmax(np.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)


def vote_share(votes: NDArray[np.floating], leaves: int) -> F32:
    """Votes as shares of their sum along the last axis; zeros where nobody voted.

    >>> vote_share(np.array([3.0, 1.0]), 2).tolist()
    [0.75, 0.25]
    """
    if votes.shape[-1] != leaves:
        raise InputError(
            "E_RANGE",
            f"votes for {votes.shape[-1]} leaves, the router has {leaves}",
            cure="count votes by leaf",
        )
    total = votes.sum(axis=-1, keepdims=True)
    return np.asarray(votes / np.where(total > 0, total, 1.0), dtype=np.float32)


def _checked(query: NDArray[np.floating], dim: int) -> F32:
    if query.shape != (dim,) or not np.isfinite(query).all():
        raise InputError(
            "E_BAD_FORMAT",
            f"a query vector of shape {query.shape}, expected ({dim},) finite numbers",
            cure="encode the query with the model that made the index",
        )
    return np.asarray(query, dtype=np.float32)


def _shapes(leaves: int, dim: int, *, trained: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "counts": (leaves,), "sums": (leaves, dim), "squares": (leaves, dim), "projected": (leaves, RANK),
        "directions": (leaves, RANK, dim), "centres": (leaves, CENTRES, dim), "addresses": (leaves, 2),
        "weights": (4,), "bias": (leaves,),
    }  # fmt: skip
    return {**shapes, "matrix": (leaves, dim)} if trained else shapes


def _number(value: object) -> float:
    return float(cast(float, value))
