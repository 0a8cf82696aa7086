"""Freshness: how long from a single document's update to durable, and to found by each way of searching.

    python -m bench.freshness [--at bench/cache/speed-100000] [--updates 200]

Works on a copy of the index. Two figures: the store's own (a
document that is already read: chunked, written, encoded) and a file's (``index.update(path)``, which starts a
reading process of its own).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from fingerpost.compiler import chunk
from fingerpost.evaluate.freshness import Change, freshness
from fingerpost.index import building
from fingerpost.index.rooms import silent
from fingerpost.records import Document
from fingerpost.text.query import parse

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "island", "jasper"]


def text_of(number: int) -> str:
    """Eighty words and a code that no other document has."""
    drawn = np.random.default_rng(number).choice(WORDS, 80)
    return f"# Update {number}\n\nFRESH_{number:06d} {' '.join(drawn)}.\n"


def change(index: fingerpost.Index, number: int) -> Change:
    """One document's way: put (durable), found by its code, encoded and found by its vector."""
    rooms, name = index._rooms, f"fresh-{number % 50}"
    document = Document(name, text_of(number), f"Update {number}")
    clock = time.perf_counter
    accepted = clock()
    pieces = chunk.split(document, count=rooms.encoder, settings=rooms.settings)
    building.put(rooms, [(document, pieces)], building.Ingested())
    durable = clock()
    snapshot = rooms.store.snapshot()
    keys, _ = snapshot.lexical(parse(f"FRESH_{number:06d}"), k=1)
    assert snapshot.chunks(keys)[0].doc_id == name
    lexical = clock()
    building.encode(rooms, silent)
    snapshot = rooms.store.snapshot()
    vector = snapshot.vectors(keys)[0]
    assert keys[0] in snapshot.dense(vector, k=3)[0]
    dense = clock()
    return Change(name, accepted, durable, lexical, dense)


def files(index: fingerpost.Index, folder: Path, count: int) -> list[float]:
    """Milliseconds of ``index.update`` of one file each."""
    took = []
    for number in range(count):
        path = folder / f"file-{number % 10}.md"
        path.write_text(text_of(10**6 + number))
        began = time.perf_counter()
        index.update(path)
        took.append(1000 * (time.perf_counter() - began))
    return took


def main() -> None:
    """Copy, update, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-100000")
    parser.add_argument("--updates", type=int, default=200)
    options = parser.parse_args()
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    with tempfile.TemporaryDirectory(dir=options.at.parent) as folder:
        kb = Path(shutil.copytree(options.at, Path(folder) / "kb"))
        with fingerpost.open(kb, write=True) as index:
            chunks = index.status()["chunks"]
            for number in range(5):
                change(index, 10**5 + number)
            changes = [change(index, number) for number in range(options.updates)]
            read = files(index, Path(folder), options.updates // 5)
    told = freshness(changes)
    rows: list[list[object]] = [
        [step, *(round(1000 * float(str(told[step][name])), 2) for name in ("p50", "p95"))]
        for step in ("durable", "lexical", "dense")
    ]
    rows.append(["index.update(file)", *(round(float(np.percentile(read, at)), 2) for at in (50, 95))])
    print(table(["accepted to", "p50 ms", "p95 ms"], rows))
    write("freshness", {"chunks": chunks, "updates": options.updates, "ms": {r[0]: r[1:] for r in rows}})


if __name__ == "__main__":
    main()
