"""Fine-tuning both towers: one network for questions and passages, with in-batch and mined negatives.

    loss = −log softmax over passages of (q · p / T), the right passage against those of the batch

Each question brings its document's nearest chunk and one of the chunks that the untouched encoder takes for
nearer than it should (Karpukhin et al. 2020, arXiv:2004.04906). A chunk of a document that also answers the
question is no negative. Every vector changes, so what comes out is a model folder to compile with: an index
never holds vectors of two models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.base import Base
from fingerpost.models.bert import Bert
from fingerpost.route.deep import held
from fingerpost.route.deep.held import Verdict
from fingerpost.route.deep.lazy import Tensor, torch
from fingerpost.route.deep.net import Net, merged, trainable
from fingerpost.route.deep.steps import Step, Watch, nobody
from fingerpost.route.deep.tune import rate_at
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pairs import Pairs, checked

FOLDS = 5
"""One question in so many is held out and judges."""
NEAREST = 10
"""Chunks of other documents nearest to a question, of which one is its mined negative."""
POOL = 256
"""Chunks beside the right ones and their rivals that held-out questions are ranked against."""
BLOCK = 16


@dataclass(frozen=True, slots=True)
class Dials:
    """How it trains. ``depth``: how many upper layers move; ``rate`` falls linearly after a short rise."""

    depth: int = 3
    passes: int = 1
    batch: int = 16
    rate: float = 1e-4
    temperature: float = 0.05


@dataclass(frozen=True, slots=True)
class Task:
    """What to learn: word pieces of queries [m] and of the chunks' passages [n], ``given`` (``queries``
    [m, d] by the untouched encoder), ``vectors`` [n, d] and documents' keys ``docs`` [n] of the chunks.
    """

    queries: Sequence[NDArray[np.int32]]
    passages: Sequence[NDArray[np.int32]]
    given: Pairs
    vectors: NDArray[np.floating]
    docs: I64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``network``: the trained weights (None: refused); ``verdict`` ranks held-out questions among the right
    chunks, their rivals and some others.
    """

    network: Bert | None
    verdict: Verdict
    notes: tuple[str, ...]


def train(task: Task, base: Base, *, dials: Dials | None = None, watch: Watch | None = None) -> Outcome:
    """Train on four fifths of the questions and judge on the rest.

    Raises InputError E_PAIRS (too few pairs, poisoned), MissingExtraError without the extra ``train``.
    """
    torch.set_num_threads(1)
    usable, notes = checked(task.given, np.unique(task.docs))
    fold, unseen = held.assign(usable, FOLDS, seed=task.seed)
    chosen, tell = dials or Dials(), watch or nobody
    depth = min(chosen.depth, len(base.network.layers))
    net = Net(base.network, trainable(base.network, depth), pooling=base.source.pooling)
    lesson = _Lesson(task, usable, np.flatnonzero(fold[usable.query] != 0), chosen)
    _run(net, lesson, chosen, tell)
    verdict = _judge(task, usable, fold == 0, unseen, net)
    network = merged(base.network, net.weights) if verdict.accepted else None
    return Outcome(network, verdict, notes)


def _run(net: Net, lesson: _Lesson, dials: Dials, tell: Watch) -> None:
    optimiser = torch.optim.Adam(net.weights.values(), lr=dials.rate, betas=(0.9, 0.98))
    total, done, began = lesson.steps(), 0, process_time()
    lesson.loss(net, next(lesson.batches(0)), np.random.default_rng(0)).backward()
    cost = process_time() - began
    tell(Step(0, total, total * cost / 60))
    for number in range(dials.passes):
        random = np.random.default_rng((lesson.task.seed, number, 1))
        for batch in lesson.batches(number):
            for group in optimiser.param_groups:
                group["lr"] = dials.rate * rate_at(done, total)
            optimiser.zero_grad()
            loss = lesson.loss(net, batch, random)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.weights.values(), 1.0)
            optimiser.step()
            done += 1
            tell(Step(done, total, (total - done) * cost / 60, float(loss.detach())))


class _Lesson:
    """Pairs of the training part with their right chunk and their rivals."""

    def __init__(self, task: Task, given: Pairs, rows: I64, dials: Dials) -> None:
        self.task, self.given, self._rows, self._dials = task, given, rows, dials
        self.right, self.rivals = neighbours(task, given)

    def steps(self) -> int:
        """Batches in all."""
        return self._dials.passes * -(-len(self._rows) // self._dials.batch)

    def batches(self, number: int) -> Iterator[I64]:
        """The batches of pass ``number``: rows of the pairs."""
        order = np.random.default_rng((self.task.seed, number)).permutation(self._rows)
        for start in range(0, len(order), self._dials.batch):
            yield order[start : start + self._dials.batch]

    def loss(self, net: Net, batch: I64, random: np.random.Generator) -> Tensor:
        """The mean loss of a batch of pairs."""
        queries = self.given.query[batch]
        rival = self.rivals[batch, random.integers(self.rivals.shape[1], size=len(batch))]
        rows = np.concatenate([self.right[batch], rival])
        asked = net.vectors([self.task.queries[at] for at in queries.tolist()])
        shown = net.vectors([self.task.passages[at] for at in rows.tolist()])
        answers = [set(self.given.doc[self.given.query == query].tolist()) for query in queries]
        false = np.array([[doc in mine for doc in self.task.docs[rows].tolist()] for mine in answers])
        false[np.arange(len(batch)), np.arange(len(batch))] = False
        scores = (asked @ shown.T / self._dials.temperature).masked_fill(torch.from_numpy(false), -1e9)
        return torch.nn.functional.cross_entropy(scores, torch.arange(len(batch)))


def neighbours(task: Task, given: Pairs) -> tuple[I64, I64]:
    """For each pair its document's chunk nearest to the question [p], and the NEAREST chunks of documents
    that do not answer it [p, NEAREST].
    """
    chunks = np.asarray(task.vectors, np.float32)
    right, rivals = np.zeros(len(given.query), np.int64), np.zeros((len(given.query), NEAREST), np.int64)
    for at, (query, doc) in enumerate(zip(given.query.tolist(), given.doc.tolist(), strict=True)):
        scores = chunks @ given.queries[query]
        right[at] = np.where(task.docs == doc, scores, -np.inf).argmax()
        answers = np.isin(task.docs, given.doc[given.query == query])
        ranked = np.argsort(np.where(answers, np.inf, -scores), kind="stable")
        others = ranked[: max(1, min(NEAREST, int((~answers).sum())))]
        rivals[at] = np.resize(others, NEAREST)
    return right, rivals


def _judge(task: Task, given: Pairs, away: NDArray[np.bool_], unseen: NDArray[np.bool_], net: Net) -> Verdict:
    """Reciprocal ranks of held-out questions among a pool of chunks, by both networks."""
    mine = given.only(away[given.query])
    right, rivals = neighbours(task, mine)
    random = np.random.default_rng(task.seed)
    others = random.permutation(len(task.docs))[:POOL]
    rows = np.unique(np.concatenate([right, rivals.ravel(), others]))
    names = np.unique(mine.query)
    queries = given.queries.copy()
    before = held.ranks(queries, mine, task.vectors[rows], task.docs[rows])
    queries[names] = _vectors(net, [task.queries[at] for at in names.tolist()])
    moved = _vectors(net, [task.passages[at] for at in rows.tolist()])
    after = held.ranks(queries, mine, moved, task.docs[rows])
    return held.judge(before, after, mine, unseen)


def _vectors(net: Net, texts: Sequence[NDArray[np.int32]]) -> F32:
    with torch.no_grad():
        parts = [net.vectors(texts[at : at + BLOCK]).numpy() for at in range(0, len(texts), BLOCK)]
    return np.concatenate(parts)
