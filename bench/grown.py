"""A corpus grown out of real chunks: a million from a hundred thousand, since encoding as many costs hours.

A copy of a chunk lies between it and one of its nearest chunks, moved by a part of the difference of two
others drawn from everywhere: so it has no twin, and is moved in directions that real chunks differ in. It has
no text; what BM25 would give it is drawn from what BM25 gives the two chunks it lies between. ``NOISE`` is
set by the law that distances between chunks follow in samples of the real ones (``law``). Questions come no
nearer to their best chunks in it than before; in more real text they would: it is the harder of the two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common import CACHE
from fingerpost.config import Settings
from fingerpost.route import address, graph
from fingerpost.route.kmeans import unit
from fingerpost.route.router import Router
from fingerpost.store.store import Store
from fingerpost.text import query as parsing

NOISE = 0.5
SHARE = (0.2, 0.5)
BLOCK = 65_536
PROBES = 100
PARTS = {"leaves": ("vectors", "order", "offsets", "addresses", "centroids")}
RANKS = (1, 10)
DISTANCES = ("chunk to 1st", "chunk to 10th", "question to 1st", "question to 10th")


@dataclass(frozen=True)
class Grown:
    """Rows sorted by leaf: ``vectors`` float16 [n, d] (mapped), their leaves, the ``plan`` of them, and what
    making each took in seconds of processor time.
    """

    vectors: NDArray[np.float16]
    laid: address.Addresses
    plan: Plan
    seconds: dict[str, float]
    folder: Path


@dataclass(frozen=True)
class Plan:
    """Of every grown chunk the ``parent`` row, the ``other`` row and the ``share`` of the other in it, 0 in
    the first rows, which are the real chunks themselves.
    """

    parent: NDArray[np.int64]
    other: NDArray[np.int64]
    share: NDArray[np.float32]

    def sorted(self, order: NDArray[np.int64]) -> Plan:
        """The same in another order of rows."""
        return Plan(self.parent[order], self.other[order], self.share[order])


def planned(docs: NDArray[np.int64], near: NDArray[np.int64], size: int, *, seed: int = 0) -> Plan:
    """Copies document by document, each document as often as all others (but for the last round)."""
    random = np.random.default_rng(seed)
    _, first, counts = np.unique(docs, return_index=True, return_counts=True)
    rows, held = [np.arange(len(docs))], len(docs)
    while held < size:
        for document in random.permutation(len(first)).tolist():
            rows.append(np.arange(first[document], first[document] + counts[document]))
        held += len(docs)
    parent = np.concatenate(rows)[:size]
    other = near[parent, random.integers(0, near.shape[1], len(parent))]
    share = random.uniform(*SHARE, len(parent)).astype(np.float32)
    share[: len(docs)] = 0.0
    return Plan(parent, np.where(other >= 0, other, parent), share)


def vectors(
    real: NDArray[np.float16], plan: Plan, *, noise: float = NOISE, seed: int = 1
) -> NDArray[np.float16]:
    """The vectors of a plan: float16 [n, d], of unit length."""
    random = np.random.default_rng(seed)
    wide, found = real.astype(np.float32), np.empty((len(plan.parent), real.shape[1]), dtype=np.float16)
    for at in range(0, len(found), BLOCK):
        part = slice(at, at + BLOCK)
        parent, share = plan.parent[part], plan.share[part, None]
        one, two = random.integers(0, len(real), (2, len(parent)))
        moved = np.float32(noise / np.sqrt(2)) * (wide[one] - wide[two]) * (share > 0)
        found[part] = unit(wide[parent] * (1 - share) + wide[plan.other[part]] * share + moved)
    return found


def distances(held: NDArray[np.floating], queries: NDArray[np.float32]) -> list[float]:
    """Mean 1 − cosine to the first and the tenth nearest: of chunks drawn from ``held`` (to others), then of
    ``queries``.
    """
    rows = np.random.default_rng(3).permutation(len(held))[:PROBES]
    return [*_ranked(held, held[rows].astype(np.float32), rows), *_ranked(held, queries, None)]


def _ranked(
    held: NDArray[np.floating], asked: NDArray[np.float32], own: NDArray[np.int64] | None
) -> list[float]:
    best = np.full((len(asked), RANKS[-1]), -1.0, dtype=np.float32)
    for at in range(0, len(held), BLOCK):
        cosines = asked @ held[at : at + BLOCK].astype(np.float32).T
        if own is not None:
            inside = np.flatnonzero((own >= at) & (own < at + BLOCK))
            cosines[inside, own[inside] - at] = -1.0
        both = np.concatenate([best, cosines], axis=1)
        best = np.partition(both, -RANKS[-1], axis=1)[:, -RANKS[-1] :]
    best = -np.sort(-best, axis=1)
    return [float((1 - best[:, rank - 1]).mean()) for rank in RANKS]


def law(real: NDArray[np.float16], queries: NDArray[np.float32], size: int) -> dict[str, list[float]]:
    """``distances`` in samples of the real chunks, and what straight lines through their logarithms (all
    five sizes; the three largest) foretell at ``size``.
    """
    random = np.random.default_rng(0)
    sizes = [len(real) // part for part in (16, 8, 4, 2, 1)]
    found = {n: distances(real[np.sort(random.permutation(len(real))[:n])], queries) for n in sizes}
    logs, table = np.log(sizes), np.log([found[n] for n in sizes])
    told = [
        np.exp(
            [np.polyval(np.polyfit(logs[-n:], column[-n:], 1), np.log(size)) for column in table.T]
        ).tolist()
        for n in (5, 3)
    ]
    return {
        **{f"{n}": values for n, values in found.items()},
        "law of five": told[0],
        "law of three": told[1],
    }


def real_chunks(base: Path) -> tuple[NDArray[np.float16], NDArray[np.int64], NDArray[np.int64]]:
    """Vectors, documents' keys and neighbours' rows of an index, in the order in which its chunks came."""
    with Store.open(base) as store:
        snapshot = store.snapshot()
        keys = np.sort(snapshot.keys())
        near = snapshot.neighbours(keys)
        if not near.shape[1]:
            raise SystemExit(f"{base} is too small: it has no neighbour graph to grow along")
        rows = np.where(near >= 0, np.searchsorted(keys, np.maximum(near, 0)), -1)
        return store.vectors(keys), snapshot.doc_keys(keys), rows


def best_by_words(
    base: Path, plan: Plan, queries: list[str], *, count: int = 100, deep: int = 2_000, seed: int = 4
) -> NDArray[np.int64]:
    """BM25's best ``count`` rows for each query, [m, count].

    A copy has no text. As many of a query's words as a draw with its share says are taken from the other
    chunk instead of the parent, and it scores that part of what BM25 gives each of the two in the index.
    """
    random = np.random.default_rng(seed)
    found = []
    with Store.open(base) as store:
        snapshot = store.snapshot()
        keys = np.sort(snapshot.keys())
        for text in queries:
            query = parsing.parse(text)
            hits, scores = snapshot.lexical(query, k=deep)
            real = np.zeros(len(keys), dtype=np.float32)
            real[np.searchsorted(keys, hits)] = scores
            words = max(len(query.terms), 1)
            held = np.flatnonzero((real[plan.parent] > 0) | ((real[plan.other] > 0) & (plan.share > 0)))
            held = held if len(held) >= count else np.arange(count)
            taken = random.binomial(words, plan.share[held]) / words
            total = (1 - taken) * real[plan.parent[held]] + taken * real[plan.other[held]]
            found.append(held[np.argsort(-total, kind="stable")[:count]])
    return np.stack(found)


def laid_once(base: Path, size: int) -> Grown:
    """``size`` chunks grown from those of an index, in leaves; made once."""
    folder = CACHE / f"grown-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "seconds.json"
    seconds: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    real, docs, near = real_chunks(base)
    plan = planned(docs, near, size)

    def once(name: str, make: Callable[[], dict[str, NDArray[Any]]]) -> list[NDArray[Any]]:
        done = folder / f"{name}.done"
        if not done.exists():
            began = time.process_time()
            for part, values in make().items():
                np.save(folder / f"{part}.npy", values)
            seconds[name] = round(time.process_time() - began, 1)
            record.write_text(json.dumps(seconds))
            done.touch()
        return [np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS[name]]

    def leaves() -> dict[str, NDArray[Any]]:
        rows = vectors(real, plan)
        laid = address.build(rows, leaf_chunks=Settings().route.leaf_chunks, seed=0)
        names = np.array(laid.addresses)
        return dict(
            zip(
                PARTS["leaves"],
                (rows[laid.order], laid.order, laid.leaf_offsets, names, laid.centroids),
                strict=True,
            )
        )

    rows, order, offsets, names, centroids = once("leaves", leaves)
    laid = address.Addresses(np.arange(size), offsets, tuple(map(tuple, names.tolist())), centroids)
    return Grown(rows, laid, plan.sorted(order), seconds, folder)


def router_once(made: Grown) -> Router:
    """The untrained router of the leaves; kept beside them."""
    path = made.folder / "router.safetensors"
    if not path.exists():
        router = Router.fit_statistics(made.vectors, made.laid.leaf_offsets, addresses=made.laid.addresses)
        path.write_bytes(router.to_bytes())
    return Router.from_bytes(path.read_bytes())


def lists_of(grown: Grown, rows: NDArray[np.int64], *, probes: int = 48) -> NDArray[np.int32]:
    """The neighbour graph of some ``rows`` only: [n, 16], −1 for all others. Each looks in more leaves than
    the whole graph's first step, instead of asking friends, whose lists are not there.
    """
    lists = graph._Lists(grown.vectors, grown.laid.leaf_offsets, rows, graph.DEGREE)
    lists.fill(lists.ids, probes=probes, rounds=())
    edges = np.full((len(grown.vectors), graph.DEGREE), -1, dtype=np.int32)
    edges[rows] = lists.sorted()[0]
    return edges
