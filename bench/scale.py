"""A real store of a million chunks: making it, opening it, its memory, its legs with and without a plan.

    python -m bench.scale [--index KB] [--size 1000000]

The chunks are grown from those of an index (``bench.grown``); here they have texts too: a copy has as large
a share of its parent's words replaced by the other chunk's as its vector has of the other's. They go through
the store and the fold that every index goes through, without token codes. Opening and searching are measured
in processes of their own, every digest checked.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench import grown
from bench.common import CACHE, table, write
from bench.speed import percentiles, resident
from fingerpost.config import Settings
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.index.rooms import Rooms
from fingerpost.records import Chunk, Document
from fingerpost.store.store import Store
from fingerpost.text import query as parsing

BATCH = 512
QUERIES = 200
WARM = 20
DEPTH = 100


def documents(
    chunks: list[Chunk], plan: grown.Plan, *, seed: int = 2
) -> Iterator[tuple[Document, list[Chunk]]]:
    """The documents of a plan with their chunks, in its order."""
    random = np.random.default_rng(seed)
    words = [chunk.text.split() for chunk in chunks]
    first = np.array([chunk.ordinal == 0 for chunk in chunks])[plan.parent]
    rounds: dict[str, int] = {}
    for start, end in pairwise([*np.flatnonzero(first).tolist(), len(plan.parent)]):
        models = [chunks[row] for row in plan.parent[start:end].tolist()]
        rounds[models[0].doc_id] = rounds.get(models[0].doc_id, -1) + 1
        name = f"{models[0].doc_id}~{rounds[models[0].doc_id]}"
        pieces = [
            _mixed(words[plan.parent[at]], words[plan.other[at]], float(plan.share[at]), random)
            for at in range(start, end)
        ]
        yield _document(name, pieces, models)


def _mixed(own: list[str], other: list[str], share: float, random: np.random.Generator) -> str:
    mixed = list(own)
    for at in np.flatnonzero(random.random(len(own)) < share).tolist() if other else ():
        mixed[at] = other[at % len(other)]
    return " ".join(mixed)


def _document(name: str, pieces: list[str], models: list[Chunk]) -> tuple[Document, list[Chunk]]:
    chunks, start = [], 0
    for at, (piece, model) in enumerate(zip(pieces, models, strict=True)):
        end = start + len(piece)
        chunks.append(Chunk(f"{name}#{at}", name, at, start, end, piece, model.title, model.heading))
        start = end + 1
    return Document(name, "\n".join(pieces), models[0].title), chunks


def compiled_once(base: Path, size: int) -> tuple[Path, dict[str, float]]:
    """The index, and what making it took in seconds of processor time."""
    kb = CACHE / f"scale-{size}"
    record = kb.with_suffix(".json")
    if record.exists():
        return kb, dict(json.loads(record.read_text()))
    real, docs, near = grown.real_chunks(base)
    plan = grown.planned(docs, near, size)
    took: dict[str, float] = {}
    with Store.open(base) as held:
        settings = held.settings
        settings = settings.model_copy(update={"store": settings.store.model_copy(update={"late": False})})
        store = Store.create(
            kb, fingerprint=held.fingerprint, dim=held.dim, settings=settings, policy=held.policy
        )
        snapshot = held.snapshot()
        chunks = snapshot.chunks(np.sort(snapshot.keys()))
    with store:
        took["put"] = _timed(lambda: _put(store, documents(chunks, plan)))
        took["vectors"] = _timed(lambda: _encode(store, grown.vectors(real, plan)))
        took["fold"] = _timed(lambda: building.fold(Rooms(kb, store, settings), silent))
    record.write_text(json.dumps(took))
    return kb, took


def _put(store: Store, items: Iterator[tuple[Document, list[Chunk]]]) -> None:
    while batch := list(islice(items, BATCH)):
        store.put(batch)


def _encode(store: Store, rows: NDArray[np.float16]) -> None:
    """Chunks have got their keys in the order of the rows."""
    keys = store.live().keys
    for at in range(0, len(keys), BATCH):
        store.put_vectors(keys[at : at + BATCH], rows[at : at + BATCH])


def _timed(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return round(time.process_time() - began, 1)


def opened(kb: Path) -> dict[str, object]:
    """Open with every digest checked, and once more with sizes only, in wall and processor time."""
    found: dict[str, object] = {}
    for how in ("full", "sizes"):
        wall, cpu = time.perf_counter(), time.process_time()
        with Store.open(kb, verify=how) as store:
            store.snapshot()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found[how] = {"ms": round(1e3 * wall), "cpu_ms": round(1e3 * cpu), "resident_mb": resident()}
    return found


def searched(kb: Path, queries: list[str]) -> dict[str, object]:
    """Each leg in processor time: the words' leg, the vectors' with everything and with the plan's leaves."""
    routed = Settings().route.model_copy(update={"full_below": 0})
    taken: dict[str, list[float]] = {name: [] for name in ("lexical", "plan", "dense planned", "dense full")}
    with fingerpost.open(kb) as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        router, encoder = rooms.epoch(snapshot).router, rooms.encoder
        if router is None or encoder is None:
            raise SystemExit(f"{kb} has no router")
        for number, text in enumerate(queries):
            vector = encoder.encode_query(text).vector
            before = [time.process_time()]
            hits = snapshot.lexical(parsing.parse(text), k=DEPTH)[0]
            before.append(time.process_time())
            votes = np.bincount(snapshot.leaf_of(hits), minlength=router.n_leaves)
            leaves = router.plan(vector, votes, settings=routed, n_chunks=snapshot.n_chunks).leaves
            before.append(time.process_time())
            snapshot.dense(vector, k=DEPTH, leaves=np.array(leaves, dtype=np.int32))
            before.append(time.process_time())
            snapshot.dense(vector, k=DEPTH)
            before.append(time.process_time())
            if number >= WARM:
                for values, took in zip(taken.values(), np.diff(before), strict=True):
                    values.append(1e3 * float(took))
        memory = resident()
    return {
        "legs_cpu_ms": {name: percentiles(values) for name, values in taken.items()},
        "resident_mb": memory,
    }


def asked(kb: Path) -> list[str]:
    """Real sentences of eight words, from chunks spread over the index."""
    with Store.open(kb, verify="sizes") as store:
        snapshot = store.snapshot()
        keys = np.random.default_rng(0).permutation(snapshot.keys())[: 3 * QUERIES]
        texts = [chunk.text.split() for chunk in snapshot.chunks(keys)]
    return [" ".join(words[5:13]) for words in texts if len(words) > 20][: QUERIES + WARM]


def main() -> None:
    """Make, open, search, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", type=Path, default=CACHE / "speed-100000")
    parser.add_argument("--size", type=int, default=1_000_000)
    options = parser.parse_args()
    kb, took = compiled_once(options.index, options.size)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        facts = {"opening": pool.apply(opened, (kb,)), **pool.apply(searched, (kb, asked(kb)))}
    with Store.open(kb, verify="sizes") as store:
        counts = store.status()
    facts |= {
        "chunks": counts["chunks"],
        "leaves": counts["leaves"],
        "bytes": counts["bytes"],
        "made_cpu_s": took,
    }
    print(table(["what", "figure"], [[name, value] for name, value in facts.items()]))
    write("scale", facts)


if __name__ == "__main__":
    main()
