"""Queries beside updates of the same process, with queries going first and without.

    OMP_NUM_THREADS=1 python -m bench.turns [--at bench/cache/speed-77000] [--rounds 4]
        [--seconds 20] [--files 1000]

Works on a copy of the index. In every round: ten searches a second, at random moments, while nothing is
written; then beside ten updates a second of one file; then beside one update of ``--files`` new files; the
last two once as it is and once with updates that never wait (``Turns.give_way`` put out of action), in turn.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from bench.freshness import Files, paced, query, text_of
from bench.ingest import NEVER
from fingerpost.config import Settings
from fingerpost.index.turns import Turns

WAYS = ("updates wait", "updates do not")
Took = dict[str, list[float]]


@contextmanager
def way(name: str) -> Iterator[None]:
    """Updates as they are, or such that never wait."""
    own = Turns.give_way
    if name == WAYS[1]:
        Turns.give_way = lambda _: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        Turns.give_way = own  # type: ignore[method-assign]


def single(index: fingerpost.Index, files: Files, seconds: float, seed: int) -> Took:
    """Ten updates of one file a second."""
    with ThreadPoolExecutor(2) as pool:
        searched = pool.submit(paced, partial(query, index), seconds, seed=seed + 1)
        updated = pool.submit(paced, files.update, seconds, seed=seed + 2)
    return {"query": searched.result(), "update": updated.result()}


def bulk(index: fingerpost.Index, folder: Path, count: int) -> Took:
    """One update of many new files, each with a text that no other has."""
    folder.mkdir()
    paths = [folder / f"{at}.md" for at in range(count)]
    for path in paths:
        path.write_text(text_of(int(np.random.default_rng().integers(2**40))))
    searched: list[float] = []
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        updated = pool.submit(index.update, *paths)
        while not updated.done():
            searched += paced(partial(query, index), 0.5, seed=len(searched))
    updated.result()
    return {"query": searched, "update": [1000 * (time.perf_counter() - began)]}


def main() -> None:
    """Take turns, print a line a way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-77000")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--files", type=int, default=1_000)
    options = parser.parse_args()
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    base = Settings()
    chosen = base.model_copy(update={"store": base.store.model_copy(update={"fold_after": NEVER})})
    took: dict[str, list[float]] = {}

    def keep(beside: str, name: str, found: Took) -> None:
        for what, ms in found.items():
            took.setdefault(f"{what}, {beside}, {name}", []).extend(ms)

    with tempfile.TemporaryDirectory(dir=options.at.resolve().parent) as temporary:
        folder = Path(temporary)
        kb = Path(shutil.copytree(options.at, folder / "kb"))
        with fingerpost.open(kb, write=True, settings=chosen) as index:
            files = Files(index, folder)
            files.timed(5, time.perf_counter)
            paced(partial(query, index), 3, seed=0)
            for number in range(options.rounds):
                quiet = paced(partial(query, index), options.seconds / 2, seed=10 * number)
                took.setdefault("query, nothing written", []).extend(quiet)
                for name in WAYS[:: 1 if number % 2 else -1]:
                    with way(name):
                        one = single(index, files, options.seconds, 10 * number)
                        keep("one file at a time", name, one)
                        many = bulk(index, folder / f"{number}-{WAYS.index(name)}", options.files)
                        keep("many files", name, many)
    rows = [[name, *np.percentile(ms, [50, 95, 100]).round(2).tolist(), len(ms)] for name, ms in took.items()]
    print(table(["ms", "p50", "p95", "longest", "of"], rows))
    write("turns", {"at": options.at.name, "ms": {str(row[0]): row[1:] for row in rows}})


if __name__ == "__main__":
    main()
