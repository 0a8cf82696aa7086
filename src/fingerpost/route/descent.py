"""Full-softmax training of a query map and of document rows, in numpy.

    q' = (q + A q) / |q + A q|        loss = −Σ y log softmax(q' · (D + Δ)ᵀ / T) + λ_A |A|² + λ_M |Δ|²

Only documents that some query asked for compete: a document without queries would be a negative in every
example and sink (Hits@1 on such documents 0.53 → 0.11), though nothing is known against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pairs import places

TEMPERATURE = 0.05
BATCH = 512
POOL = 2048
"""Documents that compete in one step; with more, those asked for and a random rest."""
STEPS = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """``queries`` [m, d]; ``documents`` [n, d]; pair i: query ``query[i]`` (sorted), document ``doc[i]``,
    ``target[i]``; ``own`` [m] the document that a query is itself and that does not compete for it, or -1.

    The targets of a query sum to its weight.
    """

    queries: F32
    documents: F32
    query: I64
    doc: I64
    target: F32
    own: I64
    steps: int = STEPS


def passes(queries: int) -> int:
    """Steps for that many queries: four passes, at least ``STEPS``.

    >>> passes(100), passes(51_200)
    (60, 400)
    """
    return max(STEPS, 4 * queries // BATCH)


def mapped(matrix: F32, queries: F32) -> F32:
    """normalise(q + A q) of queries [m, d].

    >>> mapped(np.zeros((2, 2), np.float32), np.array([[3.0, 4.0]], np.float32)).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    moved = queries + queries @ matrix.T
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.where(length > 0, length, 1.0), dtype=np.float32)


def fit_map(problem: Problem, *, l2: float, seed: int) -> F32:
    """A [d, d], trained from 0."""
    matrix = np.zeros((problem.queries.shape[1],) * 2, dtype=np.float32)
    state = Adam(matrix, rate=3e-3, steps=problem.steps)
    for rows, pool in _batches(problem, seed):
        _, gradient = map_loss(problem, matrix, rows, pool)
        state.step(slice(None), gradient + 2 * l2 * matrix)
    return matrix


def fit_rows(problem: Problem, matrix: F32, *, l2: float, seed: int) -> F32:
    """Δ [n, d], trained from 0 under a fixed map."""
    change = np.zeros_like(problem.documents)
    state = Adam(change, rate=5e-3, steps=problem.steps)
    moved = replace(problem, queries=mapped(matrix, problem.queries))
    for rows, pool in _batches(problem, seed):
        _, gradient = rows_loss(moved, change, rows, pool)
        state.step(pool, gradient + 2 * l2 * change[pool])
    return change


def map_loss(problem: Problem, matrix: F32, rows: I64, pool: I64) -> tuple[float, F32]:
    """Mean cross-entropy of queries ``rows`` over documents ``pool``, and its gradient in A."""
    query = problem.queries[rows]
    raw = query + query @ matrix.T
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    moved = raw / length
    documents = problem.documents[pool]
    loss, slope = _cross_entropy(problem, moved @ documents.T, rows, pool)
    inner = slope @ documents
    back = (inner - np.einsum("md,md->m", inner, moved)[:, None] * moved) / length
    return loss, back.T @ query


def rows_loss(problem: Problem, change: F32, rows: I64, pool: I64) -> tuple[float, F32]:
    """The same loss and its gradient in Δ[pool]; the problem's queries are mapped already."""
    query = problem.queries[rows]
    loss, slope = _cross_entropy(problem, query @ (problem.documents[pool] + change[pool]).T, rows, pool)
    return loss, slope.T @ query


def _cross_entropy(problem: Problem, cosines: F32, rows: I64, pool: I64) -> tuple[float, F32]:
    """The loss and its slope in the cosines [rows, pool]."""
    at, pair = _pairs_of(problem, rows)
    place = np.searchsorted(pool, problem.doc[pair])
    target = problem.target[pair]
    weight = np.bincount(at, weights=target, minlength=len(rows)).astype(np.float32)
    logits = cosines / np.float32(TEMPERATURE)
    logits[places(problem.own[rows], pool)] = -np.inf
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[at, place]
    chance = np.exp(logits)
    total = chance.sum(axis=1)
    scale = 1.0 / max(float(weight.sum()), 1e-9)
    loss = scale * float((target * (np.log(total)[at] - right)).sum())
    chance *= (weight / total)[:, None]
    chance[at, place] -= target
    return loss, np.asarray(chance * np.float32(scale / TEMPERATURE), dtype=np.float32)


def _pairs_of(problem: Problem, rows: I64) -> tuple[I64, I64]:
    """For queries ``rows``: the position in ``rows`` and the pair number of each of their pairs."""
    first = np.searchsorted(problem.query, rows, side="left")
    count = np.searchsorted(problem.query, rows, side="right") - first
    at = np.repeat(np.arange(len(rows)), count)
    inside = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    return at, first[at] + inside


def _batches(problem: Problem, seed: int) -> Iterator[tuple[I64, I64]]:
    random = np.random.default_rng(seed)
    queries = np.unique(problem.query)
    left = queries[:0]
    for _ in range(problem.steps):
        if len(left) < min(BATCH, len(queries)):
            left = random.permutation(queries)
        rows, left = np.sort(left[:BATCH]), left[BATCH:]
        yield rows, _pool(problem, rows, random)


def _pool(problem: Problem, rows: I64, random: np.random.Generator) -> I64:
    count = len(problem.documents)
    if count <= POOL:
        return np.arange(count)
    wanted = problem.doc[_pairs_of(problem, rows)[1]]
    return np.union1d(wanted, random.choice(count, POOL, replace=False))


class Adam:
    """Adam on the rows touched (Kingma and Ba 2015, arXiv:1412.6980), the rate falling to 2 % of its
    start.
    """

    def __init__(self, values: F32, *, rate: float, steps: int) -> None:
        self.values, self.rate, self.steps, self.done = values, rate, steps, 0
        self.first, self.second = np.zeros_like(values), np.zeros_like(values)

    def step(self, rows: I64 | slice, gradient: F32) -> None:
        """One step on ``values[rows]``."""
        self.done += 1
        rate = self.rate * min(1.0, 1.5 * (1 - (self.done - 1) / self.steps) + 0.02)
        self.first[rows] = 0.9 * self.first[rows] + 0.1 * gradient
        self.second[rows] = 0.98 * self.second[rows] + 0.02 * gradient**2
        size = np.sqrt(self.second[rows] / (1 - 0.98**self.done)) + 1e-8
        self.values[rows] -= np.float32(rate) * (self.first[rows] / (1 - 0.9**self.done)) / size
