"""Fine-tuning the query encoder against the frozen vectors of the corpus: nothing is embedded anew.

The pairs are cut into folds, and an encoder is trained without each: it gives the fold's queries vectors
that training has not seen. They decide whether the encoder is put to use, and they are what the memory and
the fusion have to learn from, which would otherwise trust vectors fitted to their own questions. Then one
encoder is trained on all pairs. Query-side fine-tuning: Lee et al. 2021, Learning Dense Representations of
Phrases at Scale (doi:10.18653/v1/2021.acl-long.518).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from fingerpost.models import build
from fingerpost.models.base import Base
from fingerpost.models.runners import BuiltRunner
from fingerpost.route.deep import held
from fingerpost.route.deep.held import Verdict
from fingerpost.route.deep.lazy import torch
from fingerpost.route.deep.net import merged, trainable
from fingerpost.route.deep.pace import Pace
from fingerpost.route.deep.steps import Watch, nobody
from fingerpost.route.deep.tune import Dials, Lesson, Run, Trainer
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pairs import Pairs, checked

FOLDS = 2


@dataclass(frozen=True, slots=True)
class Task:
    """What to learn: the queries' ``texts`` [m], ``given`` (``queries`` [m, d] by the untouched encoder) and
    the corpus: ``vectors`` [n, d] of chunks whose documents' keys are ``docs`` [n].
    """

    texts: Sequence[str]
    given: Pairs
    vectors: NDArray[np.floating]
    docs: I64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``graph``: the trained query encoder (None: refused). ``queries`` [m, d]: the training queries as an
    encoder gives them that never saw them, the untouched vectors where it was refused.
    """

    graph: bytes | None
    queries: F32
    verdict: Verdict
    notes: tuple[str, ...]


def train(
    task: Task,
    base: Base,
    *,
    dials: Dials | None = None,
    folder: Path | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Train, judge on held-out queries, and export in 8 bits what passed.

    With ``folder``, what was done is kept there after each pass, and a run that was interrupted goes on.
    Raises InputError E_PAIRS (too few pairs, poisoned), MissingExtraError without the extra ``train``.
    """
    usable, notes = checked(task.given, np.unique(task.docs))
    course = _Course(replace(task, given=usable), base, dials or Dials(), folder, watch or nobody)
    fold, unseen = held.assign(usable, FOLDS, seed=task.seed)
    course.announce([fold != number for number in range(FOLDS)])
    queries = usable.queries.copy()
    for number in range(FOLDS):
        graph = course.run(f"fold{number}", fold != number)
        runner = BuiltRunner(graph)
        for at in np.flatnonzero(fold == number):
            queries[at] = runner.run(course.texts[at][None], states=False)[0]
    before, after = (held.ranks(part, usable, task.vectors, task.docs) for part in (usable.queries, queries))
    verdict = held.judge(before, after, usable, unseen)
    notes = (*notes, verdict.said)
    if not verdict.accepted:
        return Outcome(None, usable.queries, verdict, notes)
    return Outcome(course.run("all", np.ones(len(fold), np.bool_)), queries, verdict, notes)


class _Course:
    """All runs of one training: what is done, what is left, and where checkpoints lie."""

    def __init__(self, task: Task, base: Base, dials: Dials, folder: Path | None, watch: Watch) -> None:
        self._task, self._base, self._dials = task, base, dials
        self._pace = Pace("queries", folder, watch)
        self.texts = [base.word_pieces(text) for text in task.texts]

    def announce(self, kept: Sequence[NDArray[np.bool_]]) -> None:
        """Count the steps, time one, and say what all will take."""
        torch.set_num_threads(1)
        everything = np.ones(len(self.texts), np.bool_)
        trainers = [self._trainer(part) for part in (*kept, everything)]
        began = process_time()
        batch = next(trainers[0].lesson.batches(0))
        trainers[0].lesson.loss(trainers[0].net, batch, np.random.default_rng(0)).backward()
        self._pace.announce(sum(trainer.steps for trainer in trainers), process_time() - began)

    def run(self, name: str, kept: NDArray[np.bool_]) -> bytes:
        """Train on the queries kept [m] and export: the graph."""
        trainer = self._trainer(kept)
        self._pace.run(name, trainer, key=self._key(kept), judge=lambda: self._validate(trainer, ~kept))
        network = merged(self._base.network, trainer.net.weights)
        return build.export(network, self._base.source, self._base.pieces, "int8").graph

    def _trainer(self, kept: NDArray[np.bool_]) -> Trainer:
        task, depth = self._task, min(self._dials.depth, len(self._base.network.layers))
        pairs = task.given.only(kept[task.given.query])
        lesson = Lesson(Run(self.texts, pairs, task.vectors, task.docs, task.seed), self._dials)
        weights = trainable(self._base.network, depth)
        return Trainer(self._base.network, weights, lesson, pooling=self._base.source.pooling)

    def _validate(self, trainer: Trainer, away: NDArray[np.bool_]) -> float | None:
        """Mean reciprocal rank of at most 256 queries held out."""
        given = self._task.given
        names = np.intersect1d(np.flatnonzero(away), given.query)[:256]
        if not len(names):
            return None
        with torch.no_grad():
            parts = [
                trainer.net.vectors([self.texts[at] for at in part]).numpy()
                for part in np.array_split(names, -(-len(names) // 32))
            ]
        queries = given.queries.copy()
        queries[names] = np.concatenate(parts)
        mine = given.only(np.isin(given.query, names))
        mine = replace(mine, queries=queries[names], query=np.searchsorted(names, mine.query))
        return float(held.ranks(mine.queries, mine, self._task.vectors, self._task.docs).mean())

    def _key(self, kept: NDArray[np.bool_]) -> str:
        """Names all that a run's weights depend on."""
        task, said = self._task, hashlib.sha256(repr((self._dials, self._task.seed)).encode())
        for layer in self._base.network.layers:
            said.update(layer.qkv.tobytes())
        for array in (
            kept,
            task.given.query,
            task.given.doc,
            task.given.weight,
            task.given.queries,
            task.docs,
        ):
            said.update(np.ascontiguousarray(array).tobytes())
        said.update(np.ascontiguousarray(task.vectors).tobytes())
        for text in self.texts:
            said.update(text.tobytes())
        return said.hexdigest()
