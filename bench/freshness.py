"""Freshness: how long from a single document's update to durable, and to found by each way of searching.

    python -m bench.freshness [--at bench/cache/speed-100000] [--updates 200] [--seconds 20]
    python -m bench.freshness --folds 3

Works on a copy of the index. Three figures: the store's own (a document that is already read: chunked,
written, encoded); a file's (``index.update(path)`` in this process, the encoder's own time told apart, in
processor time); and both under traffic: ten updates a second beside ten queries a second, at random moments,
each timed from when it is due, whether or not the one before has ended, against the same queries while
nothing is written; once with the writer in the searching process, whose threads share Python's lock, and once
in a process of its own. ``--seconds 0`` leaves this out: on a busy machine it measures the machine; the
processor time of both, taking turns, does not. ``--folds`` measures instead single files' updates while a
fold runs beside, each fold's against as many updates with nothing beside them, just after it.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from fingerpost.compiler import chunk
from fingerpost.evaluate.freshness import Change, freshness
from fingerpost.index.build import building, updating
from fingerpost.index.progress import silent
from fingerpost.records import Document
from fingerpost.text.query import parse

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "island", "jasper"]
OPENING = 4.0
"""Seconds after which the writing process has surely begun."""
RATE = 10.0
"""Updates, and queries, a second."""


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


class Files:
    """Updates of one file each."""

    def __init__(self, index: fingerpost.Index, folder: Path) -> None:
        self._index, self._folder = index, folder

    def written(self, number: int) -> Path:
        """A file, new or changed."""
        path = self._folder / f"file-{number % 10}.md"
        path.write_text(text_of(10**6 + number))
        return path

    def update(self, number: int) -> None:
        """Write a file and take it in."""
        self._index.update(self.written(number))

    def timed(self, count: int, clock: Callable[[], float], *, first: int = 0) -> list[float]:
        """Milliseconds by ``clock`` of ``count`` updates of files that are already written."""
        took = []
        for number in range(first, first + count):
            path = self.written(number)
            began = clock()
            self._index.update(path)
            took.append(1000 * (clock() - began))
        return took


def apart(index: fingerpost.Index, files: Files, count: int) -> dict[str, list[float]]:
    """Processor milliseconds of updates of a file: all of them, the encoder's own, and what is beyond it."""
    encoder, spent = index._rooms.encoder, [0.0]
    assert encoder is not None
    passages = encoder.encode_passages

    def counted(*texts: Any, **how: Any) -> object:
        began = time.process_time()
        found = passages(*texts, **how)
        spent[0] += 1000 * (time.process_time() - began)
        return found

    whole, own = [], []
    encoder.encode_passages = counted  # type: ignore[assignment, method-assign]
    for number in range(count):
        spent[0] = 0.0
        whole += files.timed(1, time.process_time, first=number)
        own.append(spent[0])
    encoder.encode_passages = passages  # type: ignore[method-assign]
    return {
        "index.update(file), processor": whole,
        "of which the encoder": own,
        "beyond the encoder": [one - other for one, other in zip(whole, own, strict=True)],
    }


def paced(work: Callable[[int], object], seconds: float, *, seed: int) -> list[float]:
    """Milliseconds from when each call was due until it had ended. Calls are due at random moments, as those
    of many people who know nothing of each other are (a Poisson process), ``RATE`` a second on average.
    """
    count = int(seconds * RATE)
    moments = np.cumsum(np.random.default_rng(seed).exponential(1 / RATE, count)).tolist()
    took, began = [], time.perf_counter()
    for number, moment in enumerate(moments):
        due = began + moment
        time.sleep(max(0.0, due - time.perf_counter()))
        work(number)
        took.append(1000 * (time.perf_counter() - due))
    return took


def query(index: fingerpost.Index, number: int) -> None:
    """A search for four words."""
    index.search(" ".join(np.random.default_rng(number).choice(WORDS, 4)), k=10)


def traffic(index: fingerpost.Index, files: Files, seconds: float) -> dict[str, list[float]]:
    """Queries while nothing is written, then beside updates, then quiet again."""
    search = partial(query, index)
    before = paced(search, seconds / 2, seed=0)
    with ThreadPoolExecutor(2) as pool:
        searched = pool.submit(paced, search, seconds, seed=1)
        updated = pool.submit(paced, files.update, seconds, seed=2)
    quiet = before + paced(search, seconds / 2, seed=3)
    return {
        "query, nothing written": quiet,
        "query beside updates": searched.result(),
        "update beside queries": updated.result(),
    }


def written_apart(kb: Path, folder: Path, seconds: float) -> list[float]:
    """Updates beside somebody else's queries: for a process of its own."""
    with fingerpost.open(kb, write=True) as index:
        files = Files(index, folder)
        files.timed(5, time.perf_counter)
        return paced(files.update, seconds, seed=2)


def traffic_apart(kb: Path, folder: Path, seconds: float) -> dict[str, list[float]]:
    """Queries of a reading process beside updates of a writing one."""
    with (
        fingerpost.open(kb) as index,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        search = partial(query, index)
        paced(search, 3, seed=0)
        updated = pool.submit(written_apart, kb, folder, seconds)
        time.sleep(OPENING)
        searched = paced(search, seconds - OPENING, seed=1)
        return {
            "query beside updates of another process": searched,
            "update beside queries of another process": updated.result(),
        }


def interleaved(index: fingerpost.Index, files: Files, count: int) -> dict[str, list[float]]:
    """Processor milliseconds of a query after another one and of one right after an update, taking turns."""
    quiet, beside = [], []
    for number in range(count):
        query(index, number)
        began = time.process_time()
        query(index, 1_000 + number)
        quiet.append(1000 * (time.process_time() - began))
        files.update(number)
        began = time.process_time()
        query(index, 2_000 + number)
        beside.append(1000 * (time.process_time() - began))
    return {"query, processor": quiet, "query after an update, processor": beside}


def beside(at: Path, folds: int) -> dict[str, object]:
    """Milliseconds of single updates beside folds and without, clock and processor of the updating thread."""
    found: dict[str, list[tuple[float, float]]] = {"beside": [], "quiet": []}
    spent: list[float] = []
    with tempfile.TemporaryDirectory(dir=at.resolve().parent) as folder:
        kb = Path(shutil.copytree(at, Path(folder) / "kb"))
        with fingerpost.open(kb, write=True) as index:
            files, numbers = Files(index, Path(folder)), itertools.count()

            def one(kind: str) -> None:
                path = files.written(next(numbers))
                clock, processor = time.perf_counter(), time.thread_time()
                index.update(path)
                took = time.perf_counter() - clock, time.thread_time() - processor
                found[kind].append((1000 * took[0], 1000 * took[1]))

            building.fold(index._rooms, silent)  # what an index pays once in its first fold
            for _ in range(folds):
                for _ in range(100):
                    one("quiet")
                began, before = time.perf_counter(), len(found["beside"])
                index._rooms.beside.begin(partial(updating.fold_beside, index._rooms))
                while index.folding:
                    one("beside")
                spent.append(round(time.perf_counter() - began, 2))
                for _ in range(len(found["beside"]) - before):
                    one("quiet")
    return {"folds_clock_s": spent, **{kind: _marks(values) for kind, values in found.items()}}


def _marks(values: list[tuple[float, float]]) -> dict[str, object]:
    """Percentiles of both kinds of milliseconds."""
    sample = np.array(values).reshape(-1, 2)
    marks = {f"p{point}": np.percentile(sample, point, axis=0).round(1).tolist() for point in (50, 95)}
    return {"updates": len(sample), **marks, "max": sample.max(axis=0).round(1).tolist()}


def main() -> None:
    """Copy, update, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-100000")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    if options.folds:
        told = beside(options.at, options.folds)
        print(told)
        write("freshness", {"at": options.at.name, **told}, part="folds")
        return
    with tempfile.TemporaryDirectory(dir=options.at.resolve().parent) as folder:
        kb = Path(shutil.copytree(options.at, Path(folder) / "kb"))
        with fingerpost.open(kb, write=True) as index:
            chunks = index.status()["chunks"]
            for number in range(5):
                change(index, 10**5 + number)
            lag = freshness([change(index, number) for number in range(options.updates)])
            files = Files(index, Path(folder))
            files.timed(5, time.perf_counter)
            taken = {
                "index.update(file)": files.timed(options.updates // 2, time.perf_counter),
                **apart(index, files, options.updates // 2),
                **interleaved(index, files, options.updates // 2),
                **(traffic(index, files, options.seconds) if options.seconds else {}),
            }
            lags = index.freshness()
        if options.seconds:
            taken |= traffic_apart(kb, Path(folder), options.seconds)
    rows: list[list[object]] = [
        [step, *(round(1000 * float(str(lag[step][name])), 2) for name in ("p50", "p95"))]
        for step in ("durable", "lexical", "dense")
    ]
    rows += [[name, *np.percentile(ms, [50, 95]).round(2).tolist()] for name, ms in taken.items()]
    print(table(["accepted to", "p50 ms", "p95 ms"], rows))
    found = {"chunks": chunks, "updates": options.updates, "ms": {row[0]: row[1:] for row in rows}}
    write("freshness", {**found, "kept": lags})


if __name__ == "__main__":
    main()
