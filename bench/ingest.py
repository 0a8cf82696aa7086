"""Sustained ingest: how fast files are taken in, against how fast the encoder alone could be.

    python -m bench.ingest [--at bench/cache/speed-77000] [--files 192] [--rounds 4] [--threads 1 2]
    python -m bench.ingest --compile squad4

Works on a copy of the index, open for writing. In every round ``--files`` new files go in by one
``index.update``, and then the very passages that this made are encoded once more with nothing around it, on
as many threads, so that both meet the same machine. ``share`` is the encoder's time over the update's, in
processor time and on the clock: 1 would be an ingest that costs nothing but the encoder. Two kinds of files:
*short* ones of eighty words, and *own* ones, texts of the index's own chunks under a new title. Rounds stay
below the fold: what a fold costs is told by the store's own figures. The median of the rounds counts.
``--compile`` tells instead how much of a set's compile is the encoder's, by the threads that ran it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from bench.freshness import text_of
from fingerpost.config import Settings
from fingerpost.models.encoder import Encoder

KINDS = ("short", "own")
FIGURES = ("docs_a_second", "share_processor", "share_clock", "beyond_ms")


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
    folder.mkdir()
    paths = [folder / f"{at}.md" for at in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_text(body)
    rooms = index._rooms
    before = rooms.store.live().keys.max()
    generation = rooms.store.desk.generation
    whole = timed(lambda: index.update(*paths))
    if rooms.store.desk.generation != generation:
        sys.exit("the index was folded on the way: give fewer --rounds or --files")
    keys = rooms.store.live().keys
    passages = [chunk.passage for chunk in rooms.store.desk.chunks(keys[keys > before])]
    encoder = rooms.encoder
    if encoder is None or len(passages) < len(bodies):
        sys.exit("this measures an index with an encoder, and new files")
    alone = timed(lambda: encoder.encode_passages(passages, tokens=True))
    return {
        "docs_a_second": len(bodies) / whole[1],
        "share_processor": alone[0] / whole[0],
        "share_clock": alone[1] / whole[1],
        "beyond_ms": 1000 * (whole[0] - alone[0]) / len(bodies),
        "encoder_ms": 1000 * alone[0] / len(bodies),
        "chunks": len(passages),
    }


def measure(at: Path, options: argparse.Namespace, threads: int) -> dict[str, dict[str, object]]:
    """The rounds of each kind, taking turns, in a copy of the index."""
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    base = Settings()
    chosen = base.model_copy(update={"compile": base.compile.model_copy(update={"threads": threads})})
    with tempfile.TemporaryDirectory(dir=at.resolve().parent) as folder:
        kb = Path(shutil.copytree(at, Path(folder) / "kb"))
        with fingerpost.open(kb, write=True, settings=chosen) as index:
            for number in range(-1, options.rounds):  # the first warms up
                for kind in KINDS:
                    count = options.files if number >= 0 else 8
                    bodies = texts(index, kind, count, number + 1)
                    found = round_of(index, Path(folder) / f"{kind}-{number + 1}", bodies)
                    if number >= 0:
                        rounds[kind].append(found)
    return {
        kind: {
            "median": {name: round(float(np.median([one[name] for one in all_])), 3) for name in all_[0]},
            "rounds": [{name: round(value, 3) for name, value in one.items()} for one in all_],
        }
        for kind, all_ in rounds.items()
    }


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
    parser.add_argument("--files", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--compile", default="", metavar="SET")
    options = parser.parse_args()
    if options.compile:
        result = compiled(options.compile)
        print(result)
        write("ingest", result, part=f"compile-{options.compile}")
        return
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    found = {str(threads): measure(options.at, options, threads) for threads in options.threads}
    rows = [
        [threads, kind, *(kinds[kind]["median"][name] for name in FIGURES)]  # type: ignore[index]
        for threads, kinds in found.items()
        for kind in KINDS
    ]
    print(table(["threads", "files", *FIGURES], rows))
    write("ingest", {"at": options.at.name, "files": options.files, "threads": found})


if __name__ == "__main__":
    main()
