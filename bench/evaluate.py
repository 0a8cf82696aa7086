"""How long an evaluation takes: generated questions over a large index, seconds and memory.

    python -m bench.evaluate [--at bench/cache/speed-77000] [--questions 10000]

Every question is ranked by every leg, the fusion and the search, and measured in six measures. Seconds of
wall clock and of CPU, that of the worker processes included, are both told, since other work on the machine
makes the first longer; the memory of this process is noted after each tenth of the questions.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path

import fingerpost
from bench.common import CACHE, table, write


def cpu_seconds() -> float:
    """Of this process and of those it started that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    """Generate, evaluate, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "speed-77000")
    parser.add_argument("--questions", type=int, default=10_000)
    options = parser.parse_args()
    if not (options.at / "MANIFEST").exists():
        sys.exit(f"no index at {options.at}: run `python -m bench.speed` first, or give --at")
    peaks: list[int] = []

    def progress(stage: str, done: int, total: int | None, /) -> None:
        if stage == "evaluate" and total and done % max(1, total // 10) == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            print(f"{done:,} of {total:,}: {time.perf_counter() - began:.0f} s, {peaks[-1]} MB", flush=True)

    with fingerpost.open(options.at) as index:
        chunks = index.status()["chunks"]
        questions = index.questions(generate=options.questions)
        began, spent = time.perf_counter(), cpu_seconds()
        found = index.evaluate(questions, progress=progress)
        seconds, cpu = time.perf_counter() - began, cpu_seconds() - spent
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    count = len(found.query_ids)
    rows = [[count, chunks, seconds, cpu, 1000 * cpu / count, peaks[0], peaks[-1]]]
    print(
        table(["questions", "chunks", "seconds", "CPU s", "CPU ms each", "MB at 10 %", "MB at the end"], rows)
    )
    told = {"seconds": seconds, "cpu": cpu, "peak_mb": peaks, "worker_mb": worker}
    write("evaluate", {"questions": count, "chunks": chunks, **told})


if __name__ == "__main__":
    main()
