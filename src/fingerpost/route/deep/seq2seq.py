"""Training of the DSI decoder in torch: the network of decoder.py, its examples and its steps.

Two kinds of examples, as in the DSI paper (arXiv:2202.06991): *indexing*, a chunk's vector → its document's
docid, and *retrieval*, a question or title with its word pieces → the docid. Vectors of chunks come with
noise, since a question lies beside its document's vector and not upon it; word pieces are left out at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.deep.decoder import EPSILON, HEADS, LAYERS
from fingerpost.route.deep.docids import Docids
from fingerpost.route.deep.lazy import Tensor, torch
from fingerpost.route.deep.tune import rate_at
from fingerpost.route.kmeans import F32, I64


@dataclass(frozen=True, slots=True)
class Dials:
    """How a decoder trains. ``hidden`` is its width; ``batch`` counts questions, chunks come ``wide`` times
    as many; ``again`` is how often a pass shows each question, at most, where titles and chunks
    outnumber questions.
    """

    hidden: int = 192
    passes: int = 8
    batch: int = 64
    wide: int = 4
    again: int = 4
    rate: float = 1.5e-3
    noise: float = 0.03
    dropped: float = 0.2


@dataclass(frozen=True, slots=True)
class Examples:
    """``chunks`` [n, d] of documents at ``owners`` [n], rows of the docids; ``asked`` are memories [1 + t, d]
    (decoder.py) answered by ``answers`` [p], of which those from ``titles`` on are titles and headings.
    """

    chunks: NDArray[np.floating]
    owners: I64
    asked: Sequence[NDArray[np.floating]]
    answers: I64
    titles: int


@dataclass(frozen=True, slots=True)
class _Batch:
    memory: F32
    keep: NDArray[np.bool_]
    rows: I64


class Net:
    """The decoder's weights and what they compute."""

    def __init__(self, docids: Docids, size: int, dials: Dials, *, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._steps, self._width, self._hidden = docids.length, docids.width, dials.hidden
        self.weights: dict[str, Tensor] = {
            name: torch.tensor(value, requires_grad=True) for name, value in self._start(size)
        }
        self._later = torch.triu(torch.full((self._steps, self._steps), -1e9), 1)

    def arrays(self) -> dict[str, F32]:
        """The weights, for ``decoder.build``."""
        return {name: np.array(value.detach().numpy()) for name, value in self.weights.items()}

    def scores(self, memory: Tensor, keep: Tensor, symbols: Tensor) -> Tensor:
        """[b, L, width]: scores of each symbol of docids [b, L] after those before it, for memories
        [b, t, size] of which ``keep`` [b, t] counts.
        """
        own = self.weights
        starts = torch.arange(self._steps - 1) * self._width + 1
        words = torch.nn.functional.pad(symbols[:, :-1] + starts, (1, 0))
        x = own["words"][words] + own["places"]
        said = self._norm(self._linear(memory, "in"), "in.n")
        hide = torch.where(keep, 0.0, -1e9)[:, None, None, :]
        for at in range(LAYERS):
            x = self._layer(x, said, hide, f"{at}.")
        x = self._norm(x, "n")
        return torch.einsum("bld,ldw->blw", x, own["heads"]) + own["head_bias"]

    def _layer(self, x: Tensor, said: Tensor, hide: Tensor, name: str) -> Tensor:
        own = self._linear(self._norm(x, name + "n1"), name + "qkv").chunk(3, dim=-1)
        x = x + self._linear(self._attend(*own, mask=self._later), name + "o")
        query = self._linear(self._norm(x, name + "n2"), name + "cq")
        key, value = self._linear(said, name + "ckv").chunk(2, dim=-1)
        x = x + self._linear(self._attend(query, key, value, mask=hide), name + "co")
        inner = torch.nn.functional.gelu(self._linear(self._norm(x, name + "n3"), name + "up"))
        return x + self._linear(inner, name + "down")

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return mixed.transpose(1, 2).flatten(2)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.weights[f"{name}.w"] + self.weights[f"{name}.b"]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        parts = (self.weights[f"{name}.{at}"] for at in range(2))
        return torch.nn.functional.layer_norm(x, (self._hidden,), *parts, eps=EPSILON)

    def _start(self, size: int) -> Iterator[tuple[str, F32]]:
        """Every weight's name and first value."""
        d, inner = self._hidden, 2 * self._hidden
        shapes = {"in": (size, d)}
        for at in range(LAYERS):
            shapes |= {f"{at}.qkv": (d, 3 * d), f"{at}.o": (d, d), f"{at}.cq": (d, d)}
            shapes |= {f"{at}.ckv": (d, 2 * d), f"{at}.co": (d, d)}
            shapes |= {f"{at}.up": (d, inner), f"{at}.down": (inner, d)}
        for name, shape in shapes.items():
            yield f"{name}.w", self._random.normal(0, shape[0] ** -0.5, shape).astype(np.float32)
            yield f"{name}.b", np.zeros(shape[1], np.float32)
        for name in ("in.n", "n", *(f"{at}.n{part}" for at in range(LAYERS) for part in (1, 2, 3))):
            yield f"{name}.0", np.ones(d, np.float32)
            yield f"{name}.1", np.zeros(d, np.float32)
        words = (1 + self._steps * self._width, d)
        yield "words", self._random.normal(0, 0.1, words).astype(np.float32)
        yield "places", self._random.normal(0, 0.1, (self._steps, d)).astype(np.float32)
        heads = (self._steps, d, self._width)
        yield "heads", self._random.normal(0, d**-0.5, heads).astype(np.float32)
        yield "head_bias", np.zeros((self._steps, self._width), np.float32)


class Trainer:
    """The state of a run between steps: weights, optimiser, how many steps are done."""

    def __init__(self, docids: Docids, examples: Examples, dials: Dials, *, seed: int) -> None:
        self.examples, self.dials, self.seed = examples, dials, seed
        self.net = Net(docids, examples.chunks.shape[1], dials, seed=seed)
        self._symbols = torch.from_numpy(docids.symbols.astype(np.int64))
        self._allowed = torch.from_numpy(docids.allowed)
        self.steps = dials.passes * sum(1 for _ in self._plan(np.random.default_rng(0)))
        self.done = 0
        self.optimiser = torch.optim.Adam(self.net.weights.values(), lr=dials.rate, betas=(0.9, 0.98))

    def one_pass(self) -> Iterator[float]:
        """Train one pass, giving the loss after each step."""
        number = self.done * self.dials.passes // self.steps
        random = np.random.default_rng((self.seed, number))
        for kind, rows in self._plan(random):
            for group in self.optimiser.param_groups:
                group["lr"] = self.dials.rate * rate_at(self.done, self.steps)
            self.optimiser.zero_grad()
            loss = self.loss(self._batch(kind, rows, random))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.weights.values(), 1.0)
            self.optimiser.step()
            self.done += 1
            yield float(loss.detach())

    def loss(self, batch: _Batch) -> Tensor:
        """−log p of the right docids, the mean over a batch."""
        symbols = self._symbols[batch.rows]
        scores = self.net.scores(torch.from_numpy(batch.memory), torch.from_numpy(batch.keep), symbols)
        chances = scores.masked_fill(~self._allowed[batch.rows], -1e9).log_softmax(dim=2)
        return -chances.gather(2, symbols[:, :, None]).sum(dim=(1, 2)).mean()

    def first(self) -> Tensor:
        """The loss of the first batch of each kind: what a step costs is measured by it."""
        random = np.random.default_rng(0)
        kinds = dict(self._plan(random))
        return sum(self.loss(self._batch(kind, rows, random)) for kind, rows in kinds.items())

    def _plan(self, random: np.random.Generator) -> Iterator[tuple[str, I64]]:
        """The batches of a pass, chunks and questions mixed, in random order."""
        examples, dials = self.examples, self.dials
        others = len(examples.asked) - examples.titles + len(examples.chunks)
        again = min(dials.again, max(1, others // max(1, examples.titles)))
        questions = np.repeat(np.arange(examples.titles), again)
        asked = random.permutation(
            np.concatenate([questions, np.arange(examples.titles, len(examples.asked))])
        )
        chunks = random.permutation(len(examples.chunks))
        plan = [("asked", part) for part in _cut(asked, dials.batch)]
        plan += [("chunks", part) for part in _cut(chunks, dials.batch * dials.wide)]
        for at in random.permutation(len(plan)).tolist():
            yield plan[at]

    def _batch(self, kind: str, rows: I64, random: np.random.Generator) -> _Batch:
        examples = self.examples
        if kind == "chunks":
            noise = random.normal(0, self.dials.noise, (len(rows), examples.chunks.shape[1]))
            memory = (examples.chunks[rows].astype(np.float32) + noise)[:, None].astype(np.float32)
            memory /= np.linalg.norm(memory, axis=2, keepdims=True)
            return _Batch(memory, np.ones((len(rows), 1), np.bool_), examples.owners[rows])
        memory, keep = padded([examples.asked[at] for at in rows.tolist()])
        keep[:, 1:] &= random.random(keep[:, 1:].shape) >= self.dials.dropped
        return _Batch(memory, keep, examples.answers[rows])


def padded(memories: Sequence[NDArray[np.floating]]) -> tuple[F32, NDArray[np.bool_]]:
    """Memories side by side [b, t, d], and which of their rows count [b, t]."""
    longest, size = max(len(memory) for memory in memories), memories[0].shape[1]
    block = np.zeros((len(memories), longest, size), np.float32)
    keep = np.zeros((len(memories), longest), np.bool_)
    for at, memory in enumerate(memories):
        block[at, : len(memory)], keep[at, : len(memory)] = memory, True
    return block, keep


def _cut(rows: I64, size: int) -> list[I64]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]
