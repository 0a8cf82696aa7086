"""Training the leaf head: w, b and W by softmax cross-entropy on where the exhaustive top-k lies.

The label of a query is the share of its exhaustive top-k in each leaf, so every query teaches, labelled or
not; a gold document adds mass to its leaf. Queries whose answer is one of the held-out documents judge; the
head is kept only when it finds more of their top-k within the same budgets than the untrained rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fingerpost.route.descent import Adam
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.router import Head, Router, softmax, vote_share

GOLD = 0.3
"""Share of a label's mass that goes to the gold document's leaf."""
QUERIES = 3000
"""Queries used; 9,045 gained 1 point of share over 1,000 where this was tried."""
STEPS = 150
BATCH = 512
BUDGETS = (0.02, 0.05, 0.1)
MATRIX_L2 = 1e-3
TENTHS = 10.0
"""Optimiser units: W and b move in tenths of what w does."""


@dataclass(frozen=True, slots=True)
class Examples:
    """``queries`` [m, d]; ``labels`` [m, L], rows sum to 1; ``votes`` [m, L]; ``answers`` [m]: the best
    document's key.
    """

    queries: F32
    labels: F32
    votes: F32
    answers: I64

    def only(self, rows: I64) -> Examples:
        """Some of the queries."""
        return Examples(self.queries[rows], self.labels[rows], self.votes[rows], self.answers[rows])


@dataclass(frozen=True, slots=True)
class HeadVerdict:
    """Mean recall within the budgets on held-out documents, untrained and trained, its standard error,
    and the word.
    """

    untrained: float
    trained: float
    error: float
    accepted: bool


def examples(
    queries: F32,
    vectors: NDArray[np.floating],
    leaf_offsets: NDArray[np.integer],
    *,
    docs: I64,
    votes: NDArray[np.floating] | None = None,
    k: int = 10,
) -> Examples:
    """Label queries by exhaustive search over vectors [N, d] sorted by leaf (``docs`` [N] their documents'
    keys).

    >>> rows = np.eye(3, dtype=np.float32)
    >>> examples(rows[:1], rows, np.array([0, 2, 3]), docs=np.arange(3), k=2).labels.tolist()
    [[1.0, 0.0]]
    """
    return labelled(queries, nearest_rows(queries, vectors, k), leaf_offsets, docs, votes)


def labelled(
    queries: F32,
    top: I64,
    leaf_offsets: NDArray[np.integer],
    docs: I64,
    votes: NDArray[np.floating] | None = None,
) -> Examples:
    """Queries labelled by their nearest rows ``top`` [m, k], best first, where those are known."""
    leaves = len(leaf_offsets) - 1
    leaf = np.searchsorted(leaf_offsets[1:], top, side="right")
    labels = np.zeros((len(queries), leaves), dtype=np.float32)
    np.add.at(labels, (np.arange(len(queries))[:, None], leaf), np.float32(1.0 / top.shape[1]))
    given = np.zeros_like(labels) if votes is None else vote_share(votes, leaves)
    return Examples(np.asarray(queries, np.float32), labels, given, docs[top[:, 0]])


def with_gold(given: Examples, query: I64, leaf: I64) -> Examples:
    """Labels with ``GOLD`` of their mass moved to the leaves of gold documents: query[i] is answered in
    leaf[i].
    """
    gold = np.zeros_like(given.labels)
    np.add.at(gold, (query, leaf), np.float32(1.0))
    total = gold.sum(axis=1, keepdims=True)
    mixed = (1 - GOLD) * given.labels + GOLD * gold / np.where(total > 0, total, 1.0)
    return replace(given, labels=np.where(total > 0, mixed, given.labels).astype(np.float32))


def leaf_head(router: Router, given: Examples, *, seed: int = 0) -> tuple[Router, HeadVerdict]:
    """A router with a trained head, or the untrained one where that does not find more on held-out
    documents.

    Where w, b and W do not, w alone is tried: with fewer questions than leaves, b sinks the leaves that none
    of them asked for.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(given.queries))[:QUERIES])
    used = given.only(rows)
    hidden = random.permutation(np.unique(used.answers))
    held = np.isin(used.answers, hidden[: max(1, len(hidden) // 5)])
    start = replace(router, head=replace(router.head, trained=False))
    if held.all() or held.sum() < 10:
        return start, HeadVerdict(0.0, 0.0, 0.0, False)
    taught, judged = used.only(np.flatnonzero(~held)), used.only(np.flatnonzero(held))
    before = recalls(start, judged)
    for whole in (True, False):
        gains = recalls(replace(router, head=_fit(router, taught, random, whole=whole)), judged) - before
        error = float(gains.std() / np.sqrt(len(gains)))
        accepted = bool(gains.mean() > error)
        verdict = HeadVerdict(float(before.mean()), float((before + gains).mean()), error, accepted)
        if accepted:
            return replace(router, head=_fit(router, used, random, whole=whole)), verdict
    return start, verdict


def recalls(router: Router, given: Examples) -> NDArray[np.float64]:
    """For each query the label mass inside the routed leaves, averaged over ``BUDGETS``: [m]."""
    counts = router.statistics.counts
    order = np.argsort(-batch_scores(router, given), axis=1, kind="stable")
    held = np.cumsum(counts[order], axis=1)
    mass = np.take_along_axis(given.labels, order, axis=1).astype(np.float64)
    first = np.arange(mass.shape[1]) == 0
    inside = [np.where(first | (held <= budget * counts.sum()), mass, 0.0).sum(axis=1) for budget in BUDGETS]
    return np.asarray(np.mean(inside, axis=0), dtype=np.float64)


def batch_scores(router: Router, given: Examples) -> F32:
    """``Router.score`` of many queries, no leaf preselected: [m, L]."""
    features = np.stack([*router.statistics.batch(given.queries), given.votes])
    return logits(router.head, features, given.queries)


def logits(head: Head, features: F32, queries: F32) -> F32:
    """w·features + b + W q for features [4, m, L]: [m, L]."""
    scores = np.tensordot(head.weights, features, axes=1) + head.bias
    return np.asarray(scores + queries @ head.matrix.T if head.trained else scores, dtype=np.float32)


def head_loss(head: Head, features: F32, queries: F32, labels: F32) -> tuple[float, tuple[F32, F32, F32]]:
    """Mean cross-entropy plus λ|W|², and its gradients in w, b and W."""
    chance = softmax(logits(head, features, queries))
    count = len(queries)
    loss = -float((labels * np.log(np.maximum(chance, 1e-30))).sum()) / count
    slope = (chance * labels.sum(axis=1, keepdims=True) - labels) / np.float32(count)
    in_weights = np.einsum("fml,ml->f", features, slope)
    in_matrix = slope.T @ queries + 2 * MATRIX_L2 * head.matrix
    return loss + MATRIX_L2 * float((head.matrix**2).sum()), (in_weights, slope.sum(axis=0), in_matrix)


def nearest_rows(queries: F32, vectors: NDArray[np.floating], k: int) -> I64:
    """The k nearest rows of vectors [N, d] for each query, best first: [m, k], blocked over both."""
    k = min(k, len(vectors))
    found = [np.zeros((len(queries), 0), np.int64)]
    scores = [np.zeros((len(queries), 0), np.float32)]
    for start in range(0, len(vectors), 16_384):
        block = queries @ vectors[start : start + 16_384].astype(np.float32).T
        width = min(k, block.shape[1])
        top = np.argpartition(-block, width - 1, axis=1)[:, :width]
        found.append(top + start)
        scores.append(np.take_along_axis(block, top, axis=1))
    all_found, all_scores = np.concatenate(found, axis=1), np.concatenate(scores, axis=1)
    order = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(all_found, order, axis=1)


def _fit(router: Router, given: Examples, random: np.random.Generator, *, whole: bool) -> Head:
    """Adam from the untrained rule: w, b and W where the ``whole`` head is trained, else w."""
    features = np.stack([*router.statistics.batch(given.queries), given.votes])
    scale = np.float32(router.head.weights[0]) or np.float32(1.0)
    features = features * scale
    weights = (router.head.weights / scale)[:, None].copy()
    bias, matrix = router.head.bias[:, None].copy(), router.head.matrix.copy()
    parts = ((weights, 0.05), (bias, 0.5 / TENTHS), (matrix, 0.5 / TENTHS))
    trained = parts if whole else parts[:1]
    steppers = [Adam(values, rate=rate, steps=STEPS) for values, rate in trained]
    everything = [np.arange(len(values)) for values, _ in trained]
    for _ in range(STEPS):
        rows = random.permutation(len(given.queries))[:BATCH]
        head = Head(weights[:, 0], bias[:, 0], matrix, trained=True)
        _, slopes = head_loss(head, features[:, rows], given.queries[rows], given.labels[rows])
        shaped = (slopes[0][:, None], slopes[1][:, None], slopes[2])
        for stepper, at, slope in zip(steppers, everything, shaped[: len(trained)], strict=True):
            stepper.step(at, slope)
    return Head(weights[:, 0] * scale, bias[:, 0].copy(), matrix, trained=True)
