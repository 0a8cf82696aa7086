"""One training run: the query encoder moves so that its queries come nearest to their documents.

    loss = −Σ y log softmax(q · D / T) + keep · (1 − q · q₀)

The documents D are the frozen vectors of the corpus; a document's score is that of its best chunk. Only
documents that training queries asked for compete (see route/descent.py), q₀ is the vector that the untouched
encoder gives. After every step the weights also fall back a little towards their start (L2-SP: Li et al.
2018, arXiv:1802.01483).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.bert import Bert
from fingerpost.route.deep.lazy import Tensor, torch
from fingerpost.route.deep.net import Net, Weights
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pairs import Pairs

POOL = 2048
"""Documents that compete in one step; with more, those asked for and a random rest."""


@dataclass(frozen=True, slots=True)
class Dials:
    """How a run trains. ``depth``: how many upper layers move. ``rate`` falls linearly to zero after a
    short rise. ``keep`` holds vectors near the untouched encoder's, ``back`` weights near their start.
    """

    depth: int = 3
    passes: int = 6
    batch: int = 32
    rate: float = 2e-4
    temperature: float = 0.05
    keep: float = 0.3
    back: float = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """What one run trains on: word pieces of each query, pairs (``queries`` are the untouched vectors) and
    the chunks of the corpus: ``vectors`` [n, d] of documents ``docs`` [n].
    """

    texts: Sequence[NDArray[np.int32]]
    pairs: Pairs
    vectors: NDArray[np.floating]
    docs: I64
    seed: int = 0


class Lesson:
    """A run made ready: chunks of the competing documents, targets by query, batches."""

    def __init__(self, run: Run, dials: Dials) -> None:
        self.run, self.dials = run, dials
        self.queries, self._place = np.unique(run.pairs.query, return_inverse=True)
        self.documents, self._target = np.unique(run.pairs.doc, return_inverse=True)
        rows = np.flatnonzero(np.isin(run.docs, self.documents))
        self._owner = np.searchsorted(self.documents, run.docs[rows])
        self._chunks = np.asarray(run.vectors[rows], dtype=np.float32)
        self._share = run.pairs.weight / np.bincount(self._place)[self._place]

    def steps_a_pass(self) -> int:
        """Batches that show every query once."""
        return -(-len(self.queries) // self.dials.batch)

    def batches(self, number: int) -> Iterator[I64]:
        """The batches of pass ``number``: positions in ``queries``, of about equal length side by side."""
        random = np.random.default_rng((self.run.seed, number))
        order = random.permutation(len(self.queries))
        window = 8 * self.dials.batch
        cut: list[I64] = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            lengths = np.array([len(self.run.texts[at]) for at in self.queries[part]])
            part = part[np.argsort(lengths, kind="stable")]
            cut += [part[at : at + self.dials.batch] for at in range(0, len(part), self.dials.batch)]
        yield from (cut[at] for at in random.permutation(len(cut)))

    def loss(self, net: Net, batch: I64, random: np.random.Generator) -> Tensor:
        """The mean loss of a batch."""
        names = self.queries[batch]
        moved = net.vectors([self.run.texts[at] for at in names])
        pool, targets = self._pool(batch, random)
        scores = self._scores(moved, pool)
        chances = torch.log_softmax(scores / self.dials.temperature, dim=1)
        start = torch.from_numpy(self.run.pairs.queries[names])
        away = (1 - (moved * start).sum(dim=1)).mean()
        return -(torch.from_numpy(targets) * chances).sum(dim=1).mean() + self.dials.keep * away

    def _scores(self, moved: Tensor, pool: I64) -> Tensor:
        """Each document's best chunk: [b, pool]."""
        kept = np.isin(self._owner, pool)
        owner = torch.from_numpy(np.searchsorted(pool, self._owner[kept]))
        by_chunk = moved @ torch.from_numpy(self._chunks[kept]).T
        empty = torch.full((len(moved), len(pool)), -1.0)
        return empty.scatter_reduce(1, owner.expand(len(moved), -1), by_chunk, "amax")

    def _pool(self, batch: I64, random: np.random.Generator) -> tuple[I64, F32]:
        """The competing documents and the targets [b, pool]."""
        mine = np.isin(self._place, batch)
        at = np.searchsorted(np.sort(batch), self._place[mine])
        row = np.argsort(batch, kind="stable")[at]
        pool = np.arange(len(self.documents))
        if len(pool) > POOL:
            pool = np.union1d(self._target[mine], random.choice(len(pool), POOL, replace=False))
        targets = np.zeros((len(batch), len(pool)), np.float32)
        targets[row, np.searchsorted(pool, self._target[mine])] = self._share[mine]
        return pool, targets


def rate_at(step: int, steps: int) -> float:
    """The share of the full rate at a step: a rise over the first tenth, then a straight fall.

    >>> [round(rate_at(step, 20), 2) for step in (0, 1, 2, 11, 20)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rise = max(1, steps // 10)
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


class Trainer:
    """The state of a run between steps: weights, optimiser, how many steps are done."""

    def __init__(self, bert: Bert, weights: Weights, lesson: Lesson, *, pooling: str) -> None:
        self.lesson, self.net = lesson, Net(bert, weights, pooling=pooling)
        self.start = {name: value.detach().clone() for name, value in weights.items()}
        self.steps = lesson.steps_a_pass() * lesson.dials.passes
        self.done = 0
        self.optimiser = torch.optim.Adam(weights.values(), lr=lesson.dials.rate, betas=(0.9, 0.98))

    def one_pass(self) -> Iterator[float]:
        """Train one pass, giving the loss after each step."""
        dials, number = self.lesson.dials, self.done // self.lesson.steps_a_pass()
        random = np.random.default_rng((self.lesson.run.seed, number, 1))
        for batch in self.lesson.batches(number):
            rate = dials.rate * rate_at(self.done, self.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.optimiser.zero_grad()
            loss = self.lesson.loss(self.net, batch, random)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.weights.values(), 1.0)
            self.optimiser.step()
            self._fall_back(dials.back * rate / dials.rate)
            self.done += 1
            yield float(loss.detach())

    def _fall_back(self, share: float) -> None:
        with torch.no_grad():
            for name, value in self.net.weights.items():
                value.lerp_(self.start[name], share)
