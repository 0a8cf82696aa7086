"""Training the paper's own DSI: a decoder that speaks docids (Tay et al. 2022, arXiv:2202.06991).

Unlike the paper's, the encoder stays frozen and only the decoder is trained, so that it fits into minutes of
one core; what a document says about itself (its chunks' vectors, titles and headings) stands for its text.
The pairs are cut into folds as for the query encoder: what a decoder proposes for questions it never saw
decides whether it is put to use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.deep import decoder, docids, held
from fingerpost.route.deep.beam import ranked
from fingerpost.route.deep.docids import Docids
from fingerpost.route.deep.held import Verdict
from fingerpost.route.deep.lazy import torch
from fingerpost.route.deep.pace import Pace
from fingerpost.route.deep.seq2seq import Dials, Examples, Trainer
from fingerpost.route.deep.served import SHORTLIST
from fingerpost.route.deep.steps import Watch, nobody
from fingerpost.route.kmeans import F32, I64, group_sums
from fingerpost.route.pairs import Pairs, checked
from fingerpost.route.succession import GONE

FOLDS = 2
WATCHED = 64
"""Questions held out that a pass is judged by."""

Memory = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Task:
    """What to learn: ``asked`` [m] memories (decoder.py) of the queries, ``given`` (``queries`` [m, d] by the
    encoder), ``titles``: memories of what documents call themselves, with their keys; and the corpus:
    ``vectors`` [n, d] of chunks whose documents' keys are ``docs`` [n].
    """

    asked: Sequence[Memory]
    given: Pairs
    titles: Sequence[tuple[Memory, int]]
    vectors: NDArray[np.floating]
    docs: I64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The trained decoder and its docids; ``proposed`` [m, SHORTLIST] keys of documents for each query, by a
    decoder that never saw it, ``chances`` their log-probabilities; ``verdict`` compares it with the encoder's
    vectors.
    """

    graph: bytes
    docids: Docids
    proposed: I64
    chances: F32
    verdict: Verdict
    notes: tuple[str, ...]


def train(
    task: Task, *, dials: Dials | None = None, folder: Path | None = None, watch: Watch | None = None
) -> Outcome:
    """Train, and see what is proposed for held-out queries.

    With ``folder``, what was done is kept there after each pass, and a run that was interrupted goes on.
    Raises InputError E_PAIRS (too few pairs, poisoned), MissingExtraError without the extra ``train``.
    """
    usable, notes = checked(task.given, np.unique(task.docs))
    task = replace(task, given=usable)
    fold, unseen = held.assign(usable, FOLDS, seed=task.seed)
    course = Course(task, dials or Dials(), folder, watch or nobody)
    kept = [*(fold != number for number in range(FOLDS)), np.ones(len(fold), np.bool_)]
    course.announce(kept)
    proposed, chances = _nothing(len(fold))
    for number in range(FOLDS):
        graph = course.run(f"fold{number}", kept[number])
        for at in np.flatnonzero(~kept[number]).tolist():
            for place, (key, chance) in enumerate(course.proposals(graph, task.asked[at])):
                proposed[at, place], chances[at, place] = key, chance
    before = held.ranks(usable.queries, usable, task.vectors, task.docs)
    verdict = held.judge(before, _ranks(proposed, usable), usable, unseen)
    return Outcome(course.run("all", kept[-1]), course.docids, proposed, chances, verdict, notes)


class Course:
    """All runs of one training: what is done, what is left, and where checkpoints lie."""

    def __init__(self, task: Task, dials: Dials, folder: Path | None, watch: Watch) -> None:
        self._task, self._dials, self._pace = task, dials, Pace("dsi", folder, watch)
        keys, place = np.unique(task.docs, return_inverse=True)
        means = group_sums(np.asarray(task.vectors, np.float32), place, len(keys))
        self.docids = docids.build(means, keys, seed=task.seed)

    def announce(self, kept: Sequence[NDArray[np.bool_]]) -> None:
        """Count the steps, time one of each kind, and say what all will take."""
        torch.set_num_threads(1)
        trainers = [self._trainer(part) for part in kept]
        began = process_time()
        kinds = trainers[0].first()
        kinds.backward()
        cost = (process_time() - began) / 2
        self._pace.announce(sum(trainer.steps for trainer in trainers), cost)

    def run(self, name: str, kept: NDArray[np.bool_]) -> bytes:
        """Train on the queries kept [m] and export: the graph."""
        trainer = self._trainer(kept)
        self._pace.run(name, trainer, key=self._key(kept), judge=lambda: self._validate(trainer, ~kept))
        return decoder.build(trainer.net.arrays())

    def proposals(self, graph: bytes | decoder.Decoder, memory: Memory) -> list[tuple[int, float]]:
        """The SHORTLIST most probable documents for a query's memory: keys and log-probabilities."""
        speaker = graph if isinstance(graph, decoder.Decoder) else self._loaded(graph)
        said = memory.astype(np.float32)
        live = self.docids.keys != GONE
        best = islice(ranked(self.docids, lambda p: speaker.scores(said, p), live=live), SHORTLIST)
        return [(int(self.docids.keys[row]), chance) for row, chance in best]

    def _loaded(self, graph: bytes) -> decoder.Decoder:
        if getattr(self, "_speaker", (b"",))[0] is not graph:
            self._speaker = (graph, decoder.Decoder(graph))
        return self._speaker[1]

    def _trainer(self, kept: NDArray[np.bool_]) -> Trainer:
        task, row = self._task, self.docids.place
        pairs = task.given.only(kept[task.given.query])
        titles = [(memory, row[key]) for memory, key in task.titles if key in row]
        asked = [task.asked[at] for at in pairs.query.tolist()] + [memory for memory, _ in titles]
        answers = [row[key] for key in pairs.doc.tolist()] + [at for _, at in titles]
        owners = np.array([row[key] for key in task.docs.tolist()])
        examples = Examples(task.vectors, owners, asked, np.array(answers), len(pairs.query))
        return Trainer(self.docids, examples, self._dials, seed=task.seed)

    def _validate(self, trainer: Trainer, away: NDArray[np.bool_]) -> float | None:
        """Mean reciprocal rank, in the shortlist, of some queries held out."""
        given = self._task.given
        names = np.intersect1d(np.flatnonzero(away), given.query)[:WATCHED]
        if not len(names):
            return None
        speaker = decoder.Decoder(decoder.build(trainer.net.arrays()))
        proposed, _ = _nothing(len(away))
        for at in names.tolist():
            for place, (key, _) in enumerate(self.proposals(speaker, self._task.asked[at])):
                proposed[at, place] = key
        return float(_ranks(proposed, given)[names].mean())

    def _key(self, kept: NDArray[np.bool_]) -> str:
        """Names all that a run's weights depend on."""
        task = self._task
        said = hashlib.sha256(repr((self._dials, task.seed, [key for _, key in task.titles])).encode())
        given = (task.given.query, task.given.doc, task.given.queries)
        for array in (kept, *given, task.docs, task.vectors, *(memory for memory, _ in task.titles)):
            said.update(np.ascontiguousarray(array).tobytes())
        return said.hexdigest()


def _nothing(count: int) -> tuple[I64, F32]:
    """No proposals for that many queries."""
    shape = (count, SHORTLIST)
    return np.full(shape, GONE, np.int64), np.zeros(shape, np.float32)


def _ranks(proposed: I64, given: Pairs) -> NDArray[np.float64]:
    """Reciprocal rank of the best right document among those proposed for each query [m], 0 where none is."""
    found = np.zeros(len(proposed))
    hits = proposed[given.query] == given.doc[:, None]
    ranks = np.where(hits.any(axis=1), 1.0 / (1 + hits.argmax(axis=1)), 0.0)
    np.maximum.at(found, given.query, ranks)
    return found
