"""Other retrieval systems on the same machine, chunks and vectors, in one run.

    python -m bench.peers --python ../peers/bin/python [set …]

Set the peers' environment up as bench/peers-requirements.txt says. The indexes are those that
``python -m bench.quality`` left in bench/cache (copied and taught: nothing in them changes). Every peer gets
fingerpost's chunks – the words that are indexed, title and headings before them – and the int8 MiniLM
vectors of those and of the questions; documents rank by their best chunk. Times are for one query, the
encoder's left out (but for fingerpost's processor time); fingerpost's hold everything else, evidence spans
included. Processor time is all threads' together and says more on a busy machine. A peer that was asked
fewer questions is shown beside the untrained search on those.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, ROOT, table, write
from bench.quality import sampled
from fingerpost.config import Settings
from fingerpost.evaluate import measures, significance
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.facade import Index
from fingerpost.index.search.found import Request
from fingerpost.index.search.listing import rankings

SETS = ("scifact", "squad4", "spider-tables", "cosqa")
PEERS = ("exact + bm25s", "LanceDB", "txtai", "Haystack")
MEASURES = ("nDCG@10", "Hits@1", "R@100")
MOST = 1_000
FIRST = ("nDCG@10", "Hits@1")
DEPTH = 100

Values = NDArray[np.float64]


def export(index: Index, questions: QuestionSet, folder: Path) -> list[str]:
    """Write what every peer is given; returns the document of each chunk."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, encoder = index._rooms.store.snapshot(), index._rooms.encoder
    assert encoder is not None
    keys = snapshot.keys()
    chunks = snapshot.chunks(keys)
    np.save(folder / "vectors.npy", snapshot.vectors(keys))
    lines(folder / "passages.jsonl", [{"doc_id": c.doc_id, "text": c.passage} for c in chunks])
    texts = list(questions.queries.values())
    lines(folder / "queries.jsonl", [{"text": text} for text in texts])
    np.save(folder / "query_vectors.npy", np.stack([encoder.encode_query(text).vector for text in texts]))
    return [chunk.doc_id for chunk in chunks]


def lines(path: Path, records: list[dict[str, str]]) -> None:
    """JSON Lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def ours(index: Index, questions: QuestionSet) -> tuple[Values, Values]:
    """Values [n, measures] of the whole search, and milliseconds (wall, processor) beyond the encoder. The
    first ten are those of a search for ten, which is what is timed: its plan may leave work out.
    """
    parsed = measures.parse(" ".join(MEASURES))
    ms, values = [], []
    for query_id, text in questions.queries.items():
        began = time.process_time()
        _, trace = index.trace(text)
        encoder = next(stage.ms for stage in trace.stages if stage.name == "encode")
        ms.append([trace.ms - encoder, 1000 * (time.process_time() - began)])
        runs = [dict(rankings(index._rooms, Request(text), k=k)["search"]) for k in (10, DEPTH)]
        ten, deep = (measures.score(parsed, run, questions.qrels[query_id]) for run in runs)
        values.append([(ten if name in FIRST else deep)[at] for at, name in enumerate(MEASURES)])
    return np.array(values), np.array(ms)


def theirs(found: NDArray[np.int64], docs: list[str], questions: QuestionSet) -> Values:
    """Values [n, measures] of rankings of chunks: documents by their best chunk."""
    parsed = measures.parse(" ".join(MEASURES))
    values = []
    for ranking, grades in zip(found, questions.qrels.values(), strict=False):
        best = list(dict.fromkeys(docs[at] for at in ranking.tolist() if at >= 0))[:DEPTH]
        run = {doc_id: float(-place) for place, doc_id in enumerate(best)}
        values.append(measures.score(parsed, run, grades))
    return np.array(values)


def ask_peer(python: str, peer: str, folder: Path) -> Mapping[str, NDArray[np.float64]]:
    """Run one peer in its own process and environment."""
    command = [python, str(ROOT / "bench" / "peers_systems.py"), peer, str(folder)]
    quiet = {"HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    done = subprocess.run(command, env={**os.environ, **quiet}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{peer} failed:\n{done.stderr[-2000:]}")
    with np.load(folder / f"{peer}.npz") as found:
        return dict(found)


def row(values: Values, ms: Values) -> dict[str, object]:
    """Means, bootstrap intervals and times."""
    low, high = significance.interval(values)
    return {
        **{name: round(float(mean), 4) for name, mean in zip(MEASURES, values.mean(axis=0), strict=True)},
        "intervals": {
            name: [round(float(a), 3), round(float(b), 3)]
            for name, a, b in zip(MEASURES, low, high, strict=True)
        },
        "ms": [round(float(np.percentile(ms[:, 0], at)), 2) for at in (50, 95)],
        "cpu_ms": round(float(np.median(ms[:, 1])), 2),
        "questions": len(values),
    }


def measure(name: str, python: str, most: int) -> dict[str, object]:
    """One set: every peer, then fingerpost learned and untrained."""
    folder, copy = CACHE / "peers" / name, CACHE / "peers" / f"{name}-index"
    pairs = sampled(name, most)
    questions = load_beir(pairs)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(CACHE / "quality" / name, copy)
    with fingerpost.open(copy, write=True, settings=Settings()) as index:
        docs = export(index, questions, folder)
        systems, built = {}, {}
        for peer in PEERS:
            found = ask_peer(python, peer, folder)
            systems[peer] = (theirs(found["found"].astype(np.int64), docs, questions), found["ms"])
            built[peer] = round(float(found["built"]), 1)
        systems["fingerpost search"] = ours(index, questions)
        index.learn(pairs)
        systems["fingerpost learned"] = ours(index, questions)
        for peer in PEERS:
            fewer = len(systems[peer][0])
            if fewer < len(questions.queries):
                values, ms = systems["fingerpost search"]
                systems[f"fingerpost search, the {fewer} that {peer} was asked"] = (
                    values[:fewer],
                    ms[:fewer],
                )
    shutil.rmtree(copy)
    return {
        "set": name,
        "questions": len(questions.queries),
        "chunks": len(docs),
        "systems": {system: row(*seen) for system, seen in systems.items()},
        "build_seconds": built,
        "against_best_peer": against({system: values for system, (values, _) in systems.items()}),
    }


def against(values: Mapping[str, Values]) -> dict[str, object]:
    """nDCG@10 of the untrained and the learned search less the best peer's: mean, interval, p."""
    whole = len(values["fingerpost search"])
    best = max(
        (peer for peer in PEERS if len(values[peer]) == whole), key=lambda peer: values[peer][:, 0].mean()
    )
    found: dict[str, object] = {"peer": best}
    for ours_ in ("fingerpost search", "fingerpost learned"):
        gain = (values[ours_] - values[best])[:, :1]
        low, high = significance.interval(gain).ravel()
        p = significance.paired_p(values[ours_][:, 0], values[best][:, 0])
        found[ours_] = {
            "gain": round(float(gain.mean()), 4),
            "interval": [round(float(low), 3), round(float(high), 3)],
            "p": round(p, 4),
        }
    return found


def main() -> None:
    """Measure the sets named, print a table each, write one file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--python", default=str(ROOT.parent / "peers" / "bin" / "python"))
    parser.add_argument("--most", type=int, default=MOST)
    options = parser.parse_args()
    for name in options.sets:
        result = measure(name, options.python, options.most)
        print(f"\n### {name}: {result['questions']} questions, {result['chunks']} chunks\n")
        rows = [
            [
                system,
                *(f"{seen[m]:.3f} {seen['intervals'][m]}" for m in MEASURES),
                *seen["ms"],
                seen["cpu_ms"],
            ]
            for system, seen in result["systems"].items()  # type: ignore[attr-defined]
        ]
        print(table(["system", *MEASURES, "p50 ms", "p95 ms", "cpu ms"], rows))
        print(result["against_best_peer"], result["build_seconds"], flush=True)
        write("peers", result, part=name if options.most == MOST else f"{name}-{options.most}")


if __name__ == "__main__":
    main()
