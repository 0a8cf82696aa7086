"""The trained query encoder beside the untouched one and the docid memory, on a compiled index.

    python -m bench.deep [set …] [--rate 2e-4 --keep 0.3 --passes 6] [--without-memory]

Needs the extra ``train`` and the indexes of bench.quality. Only vectors are compared: a document is its best
chunk, Hits@1 and Hits@10 over all documents, test questions whose documents training asked for and others
apart. One thread; the minutes are those of one core.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate.datasets import load
from fingerpost.models.base import load_base
from fingerpost.models.encoder import Encoder, load_encoder
from fingerpost.route import gate
from fingerpost.route import pairs as training
from fingerpost.route.deep import queries as deep
from fingerpost.route.deep.tune import Dials
from fingerpost.route.memory import Memory
from fingerpost.store.store import Store

Row = dict[str, float]


class Bench:
    """One set: its vectors, its documents' keys, its test questions."""

    def __init__(self, name: str, most: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(CACHE / "quality" / name, Path(folder) / "kb")
            with fingerpost.open(Path(folder) / "kb"):
                pass  # refuses a folder made by another version
            with Store.open(Path(folder) / "kb") as store:
                standing, snapshot = store.live(), store.snapshot()
                self.vectors, self.docs = store.vectors(standing.keys), standing.docs
                self.train, self.test = (load(data_folder() / name, part) for part in ("train", "test"))
                wanted = {
                    d for part in (self.train, self.test) for grades in part.qrels.values() for d in grades
                }
                self.key = {doc_id: snapshot.doc_key(doc_id) for doc_id in wanted}
        names = sorted(self.test.qrels)
        self.asked = [names[at] for at in np.random.default_rng(0).permutation(len(names))[:most]]

    def task(self, encoder: Encoder) -> deep.Task:
        """The training split."""
        names = sorted(self.train.qrels)
        texts = [self.train.queries[name] for name in names]
        vectors = np.stack([encoder.encode_query(text).vector for text in texts])
        said = [
            (at, self.key[doc])
            for at, name in enumerate(names)
            for doc, grade in self.train.qrels[name].items()
            if grade > 0
        ]
        pairs = training.pairs(vectors, [at for at, _ in said], [key for _, key in said])
        return deep.Task(texts, pairs, self.vectors, self.docs)

    def row(self, queries: NDArray[np.float32], given: training.Pairs, memory: Memory | None = None) -> Row:
        """Hits of test queries [m, d], under a memory if there is one."""
        taught = set(given.doc.tolist())
        keys, first = np.unique(self.docs, return_index=True)
        order = np.argsort(self.docs, kind="stable")
        first = np.searchsorted(self.docs[order], keys)
        chunks = self.vectors[order].astype(np.float32)
        hits: dict[str, list[float]] = {"seen": [], "unseen": [], "ten": []}
        for name, query in zip(self.asked, queries, strict=True):
            moved = memory.map(query) if memory else query
            scores = np.maximum.reduceat(chunks @ moved, first)
            if memory and len(memory.keys):
                scores[np.searchsorted(keys, memory.keys)] = memory.rows @ moved - memory.penalty.shift
            right = {self.key[doc] for doc, grade in self.test.qrels[name].items() if grade > 0}
            best = keys[np.argsort(-scores, kind="stable")[:10]].tolist()
            hits["seen" if right & taught else "unseen"].append(float(best[0] in right))
            hits["ten"].append(float(bool(right & set(best))))
        both = hits["seen"] + hits["unseen"]
        means = {name: float(np.mean(part)) if part else float("nan") for name, part in hits.items()}
        return {
            "Hits@1": float(np.mean(both)),
            "seen": means["seen"],
            "unseen": means["unseen"],
            "Hits@10": means["ten"],
        }


def measure(name: str, most: int, dials: Dials, *, memories: bool) -> dict[str, object]:
    """One set."""
    settings = Settings().models
    encoder = load_encoder(settings, threads=1)
    if encoder is None:
        raise SystemExit("the settings name no encoder")
    bench, base = Bench(name, most), load_base(settings)
    task = bench.task(encoder)
    began, steps = process_time(), []
    outcome = deep.train(task, base, dials=dials, watch=steps.append)
    minutes = (process_time() - began) / 60
    texts = [bench.test.queries[name] for name in bench.asked]
    plain = np.stack([encoder.encode_query(text).vector for text in texts])
    rows = {"dense": bench.row(plain, task.given)}
    if memories:
        memory, _ = gate.train(bench.vectors, bench.docs, task.given)
        rows["dense + query map"] = bench.row(
            plain, task.given, Memory(memory.matrix, *_nothing(memory), memory.asked[:0])
        )
        rows["dense + memory"] = bench.row(plain, task.given, memory)
    if outcome.graph is not None:
        tuned = encoder.with_queries(outcome.graph)
        moved = np.stack([tuned.encode_query(text).vector for text in texts])
        rows["trained queries"] = bench.row(moved, task.given)
        if memories:
            again = training.pairs(outcome.queries, task.given.query, task.given.doc)
            memory, _ = gate.train(bench.vectors, bench.docs, again)
            rows["trained queries + memory"] = bench.row(moved, again, memory)
    return {
        "set": name, "pairs": len(task.given.query), "questions": len(texts),
        "dials": asdict(dials), "rows": rows,
        "minutes": {"announced": round(steps[0].minutes_left, 1), "taken": round(minutes, 1)},
        "notes": list(outcome.notes),
    }  # fmt: skip


def _nothing(memory: Memory) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    return memory.keys[:0], memory.rows[:0], memory.counts[:0]


def main() -> None:
    """Measure the sets named and print a table each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=["scifact"])
    parser.add_argument("--most", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=Dials().rate)
    parser.add_argument("--keep", type=float, default=Dials().keep)
    parser.add_argument("--passes", type=int, default=Dials().passes)
    parser.add_argument("--without-memory", action="store_true")
    options = parser.parse_args()
    dials = Dials(rate=options.rate, keep=options.keep, passes=options.passes)
    for name in options.sets:
        result = measure(name, options.most, dials, memories=not options.without_memory)
        rows = [[leg, *figures.values()] for leg, figures in result["rows"].items()]  # type: ignore[attr-defined]
        print(f"\n### {name}: {result['pairs']} pairs, cpu-minutes {result['minutes']}\n")
        print(table(["vectors", "Hits@1", "seen", "unseen", "Hits@10"], rows), *result["notes"], sep="\n")  # type: ignore[misc]
        write("deep", result, part=name if dials == Dials() else f"{name}-keep{dials.keep:g}")


if __name__ == "__main__":
    main()
