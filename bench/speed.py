"""Speed and size at 100,000 chunks of real text: each stage of a search, memory, disk, opening, updates.

    python -m bench.speed [--size 100000]

The index is compiled once into bench/cache. The floor of a search is the encoder's own time for the query.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from bench.corpus import corpus
from fingerpost.config import Settings

QUERIES = 500
WARM = 20


def asked(path: Path) -> list[str]:
    """Real sentences of the corpus, eight words each, from passages spread over it."""
    lines = path.read_text().splitlines()
    rng = np.random.default_rng(0)
    texts = [json.loads(lines[at])["text"].split() for at in rng.permutation(len(lines))[: 3 * QUERIES]]
    return [" ".join(words[5:13]) for words in texts if len(words) > 20][:QUERIES]


def percentiles(values: list[float]) -> list[float]:
    """p50 and p95 in milliseconds."""
    return [round(float(np.percentile(values, at)), 2) for at in (50, 95)]


def resident() -> dict[str, int]:
    """MB of this process: its own, and pages of mapped files (which the system may take back)."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    found = {line[0]: int(line[1]) // 1024 for line in lines if line[0].startswith("Rss")}
    return {"own": found["RssAnon:"], "mapped": found["RssFile:"]}


def searched(kb: Path, queries: list[str]) -> dict[str, object]:
    """Open the index in a process that has done nothing else, and search it."""
    began = time.perf_counter()
    index = fingerpost.open(kb, settings=Settings())
    opened = 1000 * (time.perf_counter() - began)
    stages: dict[str, list[float]] = {}
    scored: list[float] = []
    for number, text in enumerate(queries):
        _, trace = index.trace(text)
        if number < WARM:
            continue
        for stage in trace.stages:
            stages.setdefault(stage.name, []).append(stage.ms)
            if stage.name == "retrieve":
                scored.append(stage.counts["scored"] / stage.counts["chunks"])
        stages.setdefault("all", []).append(trace.ms)
        beyond = trace.ms - trace.stages[0].ms
        stages.setdefault("beyond the encoder", []).append(beyond)
        named = {stage.name: stage.ms for stage in trace.stages}
        stages.setdefault("beyond encoder and reranker", []).append(beyond - named["rerank"])
    memory = resident()
    index.close()
    return {
        "stages": {name: percentiles(values) for name, values in stages.items()},
        "open_ms": round(opened, 1),
        "resident_mb": memory,
        "share_scored": round(float(np.mean(scored)), 4),
    }


def compiled_once(path: Path, kb: Path) -> dict[str, float]:
    """Compile, or what compiling took when the index was made."""
    record = kb.with_suffix(".json")
    if not record.exists():
        began, cpu = time.perf_counter(), time.process_time()
        fingerpost.compile(path, to=kb, settings=Settings()).close()
        seconds = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        record.write_text(json.dumps({name: round(value, 1) for name, value in seconds.items()}))
    return dict(json.loads(record.read_text()))


def main() -> None:
    """Compile, then measure in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=100_000)
    options = parser.parse_args()
    path, kb = corpus(options.size), CACHE / f"speed-{options.size}"
    compiled = compiled_once(path, kb)
    with fingerpost.open(kb, settings=Settings()) as index:
        counts = index.status()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(searched, (kb, asked(path)))
    text_bytes = sum(len(json.loads(line)["text"].encode()) for line in path.open())
    stages = found.pop("stages")
    assert isinstance(stages, dict)
    print(table(["stage", "p50 ms", "p95 ms"], [[name, *values] for name, values in stages.items()]))
    disk = round(int(counts["bytes"]) / text_bytes, 2)
    facts = {"chunks": counts["chunks"], "disk_over_text": disk, **found, "compile": compiled}
    print(table(["what", "figure"], [[name, value] for name, value in facts.items()]))
    write("speed", {"stages": stages, **facts})


if __name__ == "__main__":
    main()
