"""How long the tail may grow: what it costs a query and an update, against what a fold costs.

    OMP_NUM_THREADS=1 python -m bench.tail [--at bench/cache/speed-77000] [--sizes 0 2000 5000 10000]

Works on a copy of the index. Documents of its own texts go in under new names, with the vectors and token
codes that those texts have, until so many chunks are fresh; then, in processor milliseconds: searches for
eight words of a text, each way of searching a query goes, a search right after an update, and an update of
one file. At each size but 0 the index is folded in a copy of the copy, and the fold told by the new chunk.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from bench.freshness import text_of
from bench.ingest import NEVER, timed
from fingerpost.config import Settings
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.records import Document
from fingerpost.text.query import parse

AT_ONCE = 500


def grow(index: fingerpost.Index, fresh: int, *, seed: int = 0) -> None:
    """Put texts of the index in again, with their vectors and codes, until ``fresh`` chunks are fresh."""
    store = index._rooms.store
    drawn = np.random.default_rng(seed).permutation(store._state.generation.keys)
    while (left := fresh - store.desk.n_fresh) > 0:
        keys = drawn[store.desk.n_fresh :][: min(left, AT_ONCE)]
        documents = []
        for key, chunk in zip(keys.tolist(), store.desk.chunks(keys), strict=True):
            name = f"again-{key}"
            own = replace(chunk, doc_id=name, ordinal=0, start=0, end=len(chunk.text))
            documents.append((Document(name, chunk.text, chunk.title), [own]))
        new = store.put(documents).keys
        held = store._state.encoded(keys.tolist())
        rows = [held[key] for key in keys.tolist()]
        store.put_vectors(new, np.array([row.vector for row in rows]), [row.tokens or b"" for row in rows])


class Spent:
    """Processor milliseconds by what was done."""

    def __init__(self) -> None:
        self._took: dict[str, list[float]] = {}

    def on(self, name: str, work: Callable[[], object]) -> None:
        """Do it, and count what it took."""
        began = time.process_time()
        work()
        self._took.setdefault(name, []).append(1000 * (time.process_time() - began))

    def told(self) -> dict[str, list[float]]:
        """Median and 95th percentile of each."""
        return {name: np.percentile(took, [50, 95]).round(2).tolist() for name, took in self._took.items()}


def costs(index: fingerpost.Index, path: Path, queries: list[str]) -> dict[str, list[float]]:
    """What searches and updates of the file ``path`` take as the index is."""
    encoder, spent = index._rooms.encoder, Spent()
    assert encoder is not None
    for text in queries[:20]:
        index.search(text)
    for number, text in enumerate(queries):
        snapshot, vector = index._rooms.store.snapshot(), encoder.encode_query(text).vector
        leaf = np.zeros(1, dtype=np.int32)
        spent.on("search", partial(index.search, text))
        spent.on("words", partial(snapshot.lexical, parse(text), k=100))
        spent.on("vectors, one leaf", partial(snapshot.dense, vector, k=100, leaves=leaf))
        path.write_text(text_of(number))
        spent.on("update", partial(index.update, path))
        spent.on("search after an update", partial(index.search, text))
    return spent.told()


def fold(at: Path, folder: Path) -> dict[str, float]:
    """What folding a copy takes, in processor and clock seconds."""
    kb = Path(shutil.copytree(at, folder / "folded"))
    with fingerpost.open(kb, write=True) as index:
        fresh = index._rooms.store.desk.n_fresh
        processor, clock = timed(lambda: building.fold(index._rooms, silent))
    shutil.rmtree(kb)
    return {
        "processor_s": round(processor, 3),
        "clock_s": round(clock, 3),
        "ms_a_chunk": round(1000 * processor / fresh, 3),
    }


def main() -> None:
    """Grow, measure, fold a copy; a line a size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-77000")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 2_000, 5_000, 10_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--no-folds", action="store_true")
    options = parser.parse_args()
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    base = Settings()
    never = base.model_copy(update={"store": base.store.model_copy(update={"fold_after": NEVER})})
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(dir=options.at.resolve().parent) as temporary:
        folder = Path(temporary)
        kb = Path(shutil.copytree(options.at, folder / "kb"))
        for size in options.sizes:
            with fingerpost.open(kb, write=True, settings=never) as index:
                if not found:
                    building.fold(index._rooms, silent)  # what an index pays once in its first fold
                grow(index, size)
                keys = np.random.default_rng(1).choice(index._rooms.store.live().keys, options.queries)
                texts = [" ".join(c.text.split()[:8]) for c in index._rooms.store.desk.chunks(keys)]
                found[str(size)] = {"ms": costs(index, folder / "one.md", texts)}
            if size and not options.no_folds:
                found[str(size)]["fold"] = fold(kb, folder)
            print(size, found[str(size)], flush=True)
    steps = list(found["0"]["ms"]) if "0" in found else []  # type: ignore[call-overload]
    rows = [[step, *(found[size]["ms"][step][0] for size in found)] for step in steps]  # type: ignore[index]
    print(table(["median ms, fresh chunks:", *found], rows))
    write("tail", {"at": options.at.name, "sizes": found})


if __name__ == "__main__":
    main()
