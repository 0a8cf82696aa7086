"""Sustained ingest: how fast files are taken in, against how fast the encoder alone could be.

    python -m bench.ingest [--at bench/cache/speed-77000] [--files 192 1500] [--rounds 4] [--threads 1 2]
    python -m bench.ingest --folds 3 [--files 192]
    python -m bench.ingest --compile squad4

Works on a copy of the index, open for writing. In every round ``--files`` new files go in by one
``index.update``, and then the very passages that this made are encoded once more with nothing around it, on
as many threads, so that both meet the same machine. ``share`` is the encoder's time over the update's, in
processor time and on the clock: 1 would be an ingest that costs nothing but the encoder. With fewer threads
than cores the clock tells whether the encoder ever waits; with as many, where it and all else share the
cores, processor time tells what all else costs. Two kinds of files: *short* ones of eighty words, and *own*
ones, texts of the index's own chunks under a new title. No round folds; the median of the rounds counts.
``--folds`` goes on until the index has folded so often, counts all of it, and tells what a fold took. A fold
runs beside updates; the encoder is measured alone only while none does, so nothing is made slower than it is.
``--compile`` tells instead how much of a set's compile is the encoder's, by the threads that ran it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from bench.freshness import text_of
from fingerpost.config import Settings
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.index.rooms import Rooms
from fingerpost.models.encoder import Encoder

KINDS = ("short", "own")
FIGURES = ("docs_a_second", "share_processor", "share_clock", "beyond_ms")
NEVER = 10**9
"""Fresh chunks after which the index folds, where it shall not."""


def texts(index: fingerpost.Index, kind: str, count: int, number: int) -> list[str]:
    """The files of one round."""
    if kind == "short":
        return [text_of(10**6 * (number + 1) + at) for at in range(count)]
    keys = index._rooms.store.live().keys
    drawn = np.random.default_rng(number).choice(keys, count, replace=False)
    chunks = index._rooms.store.desk.chunks(drawn)
    return [f"# Round {number}, {at}\n\n{chunk.text}\n" for at, chunk in enumerate(chunks)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def round_of(index: fingerpost.Index, folder: Path, bodies: list[str]) -> dict[str, float]:
    """Take the files in, then encode what came of them again."""
    spent, passages = taken_in(index, folder, bodies)
    return spent | alone(index, passages)


def taken_in(index: fingerpost.Index, folder: Path, bodies: list[str]) -> tuple[dict[str, float], list[str]]:
    """What an update of new files takes, and the passages that came of them."""
    folder.mkdir()
    paths = [folder / f"{at}.md" for at in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_text(body)
    rooms = index._rooms
    before = rooms.store.live().keys.max()
    whole = timed(lambda: index.update(*paths))
    keys = rooms.store.live().keys
    passages = [chunk.passage for chunk in rooms.store.desk.chunks(keys[keys > before])]
    if len(passages) < len(bodies):
        sys.exit("this measures new files")
    counts = {"files": len(bodies), "chunks": len(passages)}
    return {**counts, "processor_s": whole[0], "clock_s": whole[1]}, passages


def alone(index: fingerpost.Index, passages: list[str]) -> dict[str, float]:
    """What the encoder takes for them with nothing around it."""
    encoder = index._rooms.encoder
    if encoder is None:
        sys.exit("this measures an index with an encoder")
    spent = timed(lambda: encoder.encode_passages(passages, tokens=True))
    return {"encoder_processor_s": spent[0], "encoder_clock_s": spent[1]}


def told(found: dict[str, float]) -> dict[str, float]:
    """The figures of a round, or of the sum of some."""
    figures = {
        "docs_a_second": found["files"] / found["clock_s"],
        "share_processor": found["encoder_processor_s"] / found["processor_s"],
        "share_clock": found["encoder_clock_s"] / found["clock_s"],
        "beyond_ms": 1000 * (found["processor_s"] - found["encoder_processor_s"]) / found["files"],
        "encoder_ms": 1000 * found["encoder_processor_s"] / found["files"],
    }
    return {name: round(value, 3) for name, value in (figures | found).items()}


@contextmanager
def copied(at: Path, threads: int, fold_after: int) -> Iterator[tuple[fingerpost.Index, Path]]:
    """A copy of the index, open for writing, and a folder beside it for files."""
    base = Settings()
    chosen = base.model_copy(
        update={
            "compile": base.compile.model_copy(update={"threads": threads}),
            "store": base.store.model_copy(update={"fold_after": fold_after}),
        }
    )
    with tempfile.TemporaryDirectory(dir=at.resolve().parent) as folder:
        kb = Path(shutil.copytree(at, Path(folder) / "kb"))
        with fingerpost.open(kb, write=True, settings=chosen) as index:
            yield index, Path(folder)


def measure(at: Path, options: argparse.Namespace, threads: int, files: int) -> dict[str, dict[str, object]]:
    """The rounds of each kind, taking turns, in a copy of the index."""
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with copied(at, threads, NEVER) as (index, folder):
        for number in range(-1, options.rounds):  # the first warms up
            for kind in KINDS:
                bodies = texts(index, kind, files if number >= 0 else 8, number + 1)
                found = round_of(index, folder / f"{kind}-{number + 1}", bodies)
                if number >= 0:
                    rounds[kind].append(told(found))
    return {
        kind: {
            "median": {name: round(float(np.median([one[name] for one in all_])), 3) for name in all_[0]},
            "rounds": all_,
        }
        for kind, all_ in rounds.items()
    }


def folded(at: Path, options: argparse.Namespace, threads: int) -> dict[str, object]:
    """Updates of short and own files in turn until the index has folded ``--folds`` times: everything added
    up, and each fold's own time and the chunks that it folded. A first fold, which an index pays once, is
    not counted.
    """
    folds: list[dict[str, float]] = []
    fold = building.fold

    def counted(rooms: Rooms, *how: Any, **named: Any) -> int:
        fresh = rooms.store.desk.n_fresh
        spent = timed(lambda: fold(rooms, *how, **named))
        folds.append({"chunks": fresh, "processor_s": round(spent[0], 3), "clock_s": round(spent[1], 3)})
        return rooms.store.desk.generation

    sums: dict[str, float] = {}

    def count(spent: dict[str, float]) -> None:
        for name, value in spent.items():
            sums[name] = sums.get(name, 0) + value

    building.fold = counted
    try:
        with copied(at, threads, Settings().store.fold_after) as (index, folder):
            round_of(index, folder / "first", texts(index, "own", 8, 0))
            building.fold(index._rooms, silent)
            folds.clear()
            number, waiting = 0, list[str]()
            while len(folds) < options.folds or index.folding:
                number += 1
                bodies = texts(index, KINDS[number % 2], options.files[0], number)
                spent, passages = taken_in(index, folder / str(number), bodies)
                count(spent)
                waiting += passages
                if not index.folding:
                    count(alone(index, waiting))
                    waiting.clear()
            count(alone(index, waiting))
    finally:
        building.fold = fold
    return {**told(sums), "folds": folds}


def compiled(name: str) -> dict[str, object]:
    """The processor time of a compile from nothing, and the encoder's share of it."""
    spent: list[float] = []
    passage = Encoder._passage

    def counted(self: Encoder, text: str, *, tokens: bool) -> object:
        began = time.thread_time()
        try:
            return passage(self, text, tokens=tokens)
        finally:
            spent.append(time.thread_time() - began)

    with tempfile.TemporaryDirectory(dir=CACHE.resolve()) as folder:
        Encoder._passage = counted  # type: ignore[assignment, method-assign]
        index: list[fingerpost.Index] = []
        try:
            corpus = data_folder() / name
            took = timed(lambda: index.append(fingerpost.compile(corpus, to=Path(folder) / "kb")))
        finally:
            Encoder._passage = passage  # type: ignore[method-assign]
        chunks = index[0].status()["chunks"]
        index[0].close()
    found = {"processor_s": took[0], "clock_s": took[1], "encoder_s": sum(spent)}
    shares = {"share": sum(spent) / took[0], "chunks_a_processor_second": float(chunks) / took[0]}
    return {
        "set": name,
        "chunks": chunks,
        **{key: round(value, 3) for key, value in (found | shares).items()},
    }


def main() -> None:
    """Measure for each number of threads; a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-77000")
    parser.add_argument("--files", type=int, nargs="+", default=[192, 1500])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--compile", default="", metavar="SET")
    options = parser.parse_args()
    if options.compile:
        result = compiled(options.compile)
        print(result)
        write("ingest", result, part=f"compile-{options.compile}")
        return
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    if options.folds:
        sums = {str(threads): folded(options.at, options, threads) for threads in options.threads}
        print(sums)
        write("ingest", {"at": options.at.name, "threads": sums}, part="folds")
        return
    found = {
        str(threads): {str(files): measure(options.at, options, threads, files) for files in options.files}
        for threads in options.threads
    }
    rows = [
        [threads, files, kind, *(kinds[kind]["median"][name] for name in FIGURES)]  # type: ignore[index]
        for threads, each in found.items()
        for files, kinds in each.items()
        for kind in KINDS
    ]
    print(table(["threads", "files", "kind", *FIGURES], rows))
    write("ingest", {"at": options.at.name, "threads": found})


if __name__ == "__main__":
    main()
