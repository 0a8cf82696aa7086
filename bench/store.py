"""The store by itself: what it takes to fill, fold, open and check it, and what each leg takes under filters.

    OMP_NUM_THREADS=1 python -m bench.store [--chunks 100000] [--tail 2000]

Documents of five chunks of 115 random words with Zipf's frequencies and vectors around 500 centres, without
an encoder and without token codes. One document in twenty is of another source, so that filters admit 95 %
and 5 %. Steps in seconds, calls in processor milliseconds; the searches again with a tail of new chunks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common import table, write
from bench.ingest import timed
from bench.speed import resident
from bench.tail import Spent
from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store
from fingerpost.text.query import Query, parse

DIM, PER, WORDS, LEXICON = 384, 5, 115, 60_000
LEAF, OPENED = 200, 25
"""Chunks of a leaf, and leaves that a routed search opens."""
AT_ONCE = 500
CALLS = 200


class Corpus:
    """Random documents and vectors, the same ones for a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random = np.random.default_rng(seed)
        letters = (random.integers(97, 123, int(random.integers(3, 10))) for _ in range(LEXICON))
        self.lexicon = np.array(["".join(map(chr, word)) for word in letters])
        self._shares = np.cumsum(1 / np.arange(1, LEXICON + 1) ** 1.05)
        self._centres = random.standard_normal((500, DIM)).astype(np.float32)
        self._made = 0

    def documents(self, count: int) -> list[tuple[Document, list[Chunk]]]:
        """The next so many."""
        return [self._document() for _ in range(count)]

    def vectors(self, count: int) -> NDArray[np.float32]:
        """Unit length, [count, DIM]."""
        noise = self.random.standard_normal((count, DIM)).astype(np.float32)
        drawn = self._centres[self.random.integers(0, 500, count)] + 0.9 * noise
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)

    def queries(self, count: int) -> list[Query]:
        """Of eight words that are neither the commonest nor rare."""
        drawn = self.random.integers(20, 5_000, (count, 8))
        return [parse(" ".join(self.lexicon[row])) for row in drawn]

    def _document(self) -> tuple[Document, list[Chunk]]:
        name, text, chunks = f"d{self._made}", "", []
        for ordinal in range(PER):
            drawn = np.searchsorted(self._shares, self.random.random(WORDS) * self._shares[-1])
            piece, start = " ".join(self.lexicon[drawn]) + "\n", len(text)
            text += piece
            own = (name, ordinal, start, len(text), piece, name.upper(), (f"P{ordinal}",))
            chunks.append(Chunk(f"{name}#{ordinal}", *own))
        source = {"source": "docs" if self._made % 20 else "rare"}
        self._made += 1
        return Document(name, text, name.upper(), metadata=source), chunks


def fill(store: Store, corpus: Corpus, chunks: int) -> int:
    """Put so many chunks with their vectors; the characters of their text."""
    size = 0
    for start in range(0, chunks // PER, AT_ONCE):
        batch = corpus.documents(min(AT_ONCE, chunks // PER - start))
        size += sum(len(document.text) for document, _ in batch)
        keys = store.put(batch).keys
        store.put_vectors(keys, corpus.vectors(len(keys)))
    return size


def fold(store: Store) -> None:
    """Leaves of ``LEAF`` chunks as they come."""
    live = store.live()
    offsets = np.append(np.arange(0, len(live.keys), LEAF), len(live.keys)).astype(np.int32)
    store.publish(Layout(live.keys, offsets, live.seq))


def searches(store: Store, corpus: Corpus) -> dict[str, list[float]]:
    """Median and 95th percentile of each way to search, in processor milliseconds."""
    snapshot, spent = store.snapshot(), Spent()
    leaves, random = len(snapshot.leaf_offsets) - 1, np.random.default_rng(0)
    allowed = {share: snapshot.allow(f"source:{kind}") for share, kind in (("95 %", "docs"), ("5 %", "rare"))}
    for query, vector in zip(corpus.queries(CALLS), corpus.vectors(CALLS), strict=True):
        opened = random.choice(leaves, min(OPENED, leaves), replace=False).astype(np.int32)
        spent.on("words", partial(snapshot.lexical, query, k=100))
        spent.on("vectors", partial(snapshot.dense, vector, k=100))
        spent.on(f"vectors, {OPENED} leaves", partial(snapshot.dense, vector, k=100, leaves=opened))
        for share, allow in allowed.items():
            spent.on(f"words, {share} allowed", partial(snapshot.lexical, query, k=100, allow=allow))
            spent.on(f"vectors, {share} allowed", partial(snapshot.dense, vector, k=100, allow=allow))
        keys = snapshot.lexical(query, k=100)[0]
        spent.on("text of 100 chunks", partial(snapshot.chunks, keys))
    return spent.told()


def updates(store: Store, corpus: Corpus) -> list[float]:
    """Median and 95th percentile of one document put, encoded and found by both legs, by the clock, in ms."""
    query, vectors, took = corpus.queries(1)[0], corpus.vectors(PER), []
    for document in corpus.documents(60):
        began = time.perf_counter()
        store.put_vectors(store.put([document]).keys, vectors)
        store.snapshot().lexical(query, k=100)
        store.snapshot().dense(vectors[0], k=100)
        took.append(1000 * (time.perf_counter() - began))
    found: list[float] = np.percentile(took, [50, 95]).round(1).tolist()
    return found


def measured(kb: Path, chunks: int, tail: int) -> dict[str, Any]:
    """Fill and fold a store, search it, let it grow, and fold it again."""
    corpus, steps, sizes = Corpus(), dict[str, dict[str, float]](), list[int]()

    def step(name: str, work: Callable[[], object]) -> None:
        processor, clock = timed(work)
        steps[name] = {"processor_s": round(processor, 2), "clock_s": round(clock, 2)}

    with Store.create(kb, fingerprint="f", dim=DIM) as store:
        step("put with vectors", lambda: sizes.append(fill(store, corpus, chunks)))
        step("first fold", lambda: fold(store))
    disk = sum(path.stat().st_size for path in kb.rglob("*") if path.is_file())
    step("open, sizes checked", lambda: Store.open(kb, verify="sizes").close())
    step("open, digests checked", lambda: Store.open(kb).close())
    with Store.open(kb, write=True) as store:
        folded, memory = searches(store, corpus), resident()
        update = updates(store, corpus)
        fill(store, corpus, tail)
        grown = searches(store, corpus)
        step(f"fold of {store.desk.n_fresh:,} chunks", lambda: fold(store))
        step("new artifact", lambda: store.republish({"router.bin": bytes(100_000)}))
        step("check of everything", store.check)
    shares = {"disk_of_text": round(disk / sizes[0], 2), "resident_mb": memory, "update_ms": update}
    return {"chunks": chunks, "tail": tail, "steps": steps, **shares, "ms": folded, "ms with the tail": grown}


def main() -> None:
    """Measure; two tables and a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--tail", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder) / "kb", options.chunks, options.tail)
    steps, grown = found["steps"], found["ms with the tail"]
    print(table(["step", "cpu-s", "s"], [[name, *told.values()] for name, told in steps.items()]))
    rows = [[name, *told, *grown[name]] for name, told in found["ms"].items()]
    print(table(["cpu-ms", "p50", "p95", "with the tail", "p95"], rows))
    print({name: found[name] for name in ("disk_of_text", "resident_mb", "update_ms")})
    write("store", found)


if __name__ == "__main__":
    main()
