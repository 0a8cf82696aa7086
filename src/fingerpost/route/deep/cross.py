"""Training a small cross-encoder from the encoder's own network, on questions and passages of the corpus.

Each example is a question with one passage of a right document and the passages that the search wrongly put
first (hard negatives: Xiong et al. 2021, arXiv:2007.00808); the loss is the cross-entropy of the right one
among them (localised contrastive estimation: Gao et al. 2021, doi:10.1007/978-3-030-72240-1_26).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from fingerpost.models.base import Base
from fingerpost.models.bert import Bert
from fingerpost.models.graph import build_pair
from fingerpost.route.deep import checkpoint
from fingerpost.route.deep.lazy import torch
from fingerpost.route.deep.net import merged
from fingerpost.route.deep.pairnet import HEAD, Pair, PairNet
from fingerpost.route.deep.steps import Step, Watch, nobody
from fingerpost.route.deep.tune import rate_at

CHECKPOINT = "cross.safetensors"
SAVED_EVERY = 50
"""Steps between two checkpoints."""


@dataclass(frozen=True, slots=True)
class Dials:
    """How it trains. ``layers`` of the network are kept, the upper ``depth`` of them move; question and
    passage together are read up to ``pieces`` word pieces. ``minutes`` of one core are not exceeded.
    """

    layers: int = 6
    depth: int = 3
    pieces: int = 128
    passes: int = 3
    batch: int = 4
    rate: float = 1e-4
    minutes: float = 9.0


@dataclass(frozen=True, slots=True)
class Example:
    """A question, a passage that answers it, and passages that do not."""

    query: str
    right: str
    wrong: tuple[str, ...]


Reader = Callable[[str, str], Pair]
"""What the network reads of a question and a passage, as it will when it serves."""


def train(
    examples: Sequence[Example],
    base: Base,
    read: Reader,
    *,
    dials: Dials | None = None,
    seed: int = 0,
    folder: Path | None = None,
    watch: Watch = nobody,
) -> bytes:
    """The graph of a cross-encoder in 8 bits.

    With ``folder``, what was done is kept there, and a run that was interrupted goes on. Raises
    MissingExtraError without the extra ``train``.
    """
    torch.set_num_threads(1)
    read_all = [[read(one.query, text) for text in (one.right, *one.wrong)] for one in examples]
    run = _Run(read_all, base.network, dials or Dials(), seed)
    path = None if folder is None else folder / CHECKPOINT
    cost = run.cost()
    total = run.limit(cost)
    if path is not None:
        checkpoint.resume(path, run, key=run.key())
    watch(Step(run.done, total, (total - run.done) * cost / 60))
    while run.done < total:
        began = process_time()
        loss = run.step(total)
        cost += 0.05 * (process_time() - began - cost)
        watch(Step(run.done, total, (total - run.done) * cost / 60, loss))
        if path is not None and (run.done % SAVED_EVERY == 0 or run.done == total):
            checkpoint.save(path, run, key=run.key())
    return run.graph()


class _Run:
    """Weights, optimiser and how many steps are done."""

    def __init__(self, examples: list[list[Pair]], network: Bert, dials: Dials, seed: int) -> None:
        self._examples, self._dials, self._seed = examples, dials, seed
        self._bert = shallow(network, dials.layers)
        self.net = PairNet(self._bert, min(dials.depth, len(self._bert.layers)))
        self.optimiser = torch.optim.Adam(self._groups(), lr=dials.rate, betas=(0.9, 0.98))
        self.done, self.total = 0, 0

    def cost(self) -> float:
        """Processor seconds of one step."""
        began = process_time()
        self._loss(next(self._batches(0))).backward()
        self.optimiser.zero_grad()
        return process_time() - began

    def limit(self, cost: float) -> int:
        """Steps: all passes, or as many as fit into the minutes."""
        whole = self._dials.passes * self._a_pass()
        return max(1, min(whole, int(60 * self._dials.minutes / max(cost, 1e-6))))

    def step(self, total: int) -> float:
        """One step; the loss before it."""
        number, at = divmod(self.done, self._a_pass())
        batch = list(self._batches(number))[at]
        share = rate_at(self.done, total)
        for group, full in zip(self.optimiser.param_groups, (1.0, 10.0), strict=True):
            group["lr"] = self._dials.rate * full * share
        self.optimiser.zero_grad()
        loss = self._loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.net.weights.values()), 1.0)
        self.optimiser.step()
        self.done += 1
        return float(loss.detach())

    def graph(self) -> bytes:
        """The cross-encoder as it stands."""
        body = {name: value for name, value in self.net.weights.items() if name not in HEAD}
        return build_pair(merged(self._bert, body), self.net.head(), quantise=True)

    def key(self) -> str:
        """Names all that the weights depend on."""
        said = hashlib.sha256(repr((self._dials, self._seed)).encode())
        for layer in self._bert.layers:
            said.update(layer.qkv.tobytes())
        for example in self._examples:
            for pair in example:
                said.update(pair.ids.tobytes())
        return said.hexdigest()

    def _groups(self) -> list[dict[str, object]]:
        """The head, which starts from nothing, learns faster than the network."""
        parts: list[list[object]] = [[], []]
        for name, value in self.net.weights.items():
            parts[name in HEAD].append(value)
        return [{"params": part} for part in parts]

    def _a_pass(self) -> int:
        return -(-len(self._examples) // self._dials.batch)

    def _batches(self, number: int) -> Iterator[list[int]]:
        order = np.random.default_rng((self._seed, number)).permutation(len(self._examples)).tolist()
        size = self._dials.batch
        yield from (order[at : at + size] for at in range(0, len(order), size))

    def _loss(self, batch: Sequence[int]) -> Any:
        groups = [self._examples[at] for at in batch]
        logits = self.net.logits([pair for group in groups for pair in group])
        parts = logits.split([len(group) for group in groups])
        return -torch.stack([torch.log_softmax(part, dim=0)[0] for part in parts]).mean()


def shallow(bert: Bert, layers: int) -> Bert:
    """The network's lower layers alone."""
    kept = bert.layers[:layers]
    return replace(bert, layers=kept, shape=replace(bert.shape, layers=len(kept)))
