"""A reranker of an index's own: what it gains on test questions, and what twenty passages cost.

    python -m bench.reranker [set …] [--minutes 7] [--most 300] [--indexes quality]

Trains a cross-encoder with ``train-reranker`` on a set's training split, into bench/cache (kept, so that a
second run only measures), and searches the test split of the untrained index with it and without. A refused
training has only its table. Milliseconds are processor time of one thread for the passages of one question;
one core a passage works on them, so that the wall clock says half of it on two free cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import measures, significance
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.facade import Index
from fingerpost.index.learn.crosses import Course
from fingerpost.index.search import listing, searching
from fingerpost.index.search.found import Request
from fingerpost.rerank.cross import CrossEncoder
from fingerpost.route.deep.cross import Dials
from fingerpost.route.deep.steps import Step

MEASURES = ("nDCG@10", "Hits@1")


def trained(index: Index, name: str, to: Path, minutes: float) -> list[str]:
    """Train, telling a line now and then; the report's notes."""

    def watch(step: Step) -> None:
        if step.done % 20 == 0:
            print(step, flush=True)

    return list(index.train_reranker(to, Course(data_folder() / name, Dials(minutes=minutes), watch)).notes)


def compared(index: Index, encoder: CrossEncoder, questions: QuestionSet, most: int) -> Mapping[str, Any]:
    """Both rankings of the same questions, and the time that the passages take."""
    parsed = measures.parse(" ".join(MEASURES))
    ids = np.random.default_rng(0).permutation(sorted(questions.qrels))[:most].tolist()
    rows: dict[str, list[Any]] = {"search": [], "with reranker": []}
    ms = []
    for query_id in ids:
        found = searching.find(index._rooms, Request(questions.queries[query_id]))
        depth = index._rooms.settings.rerank.cross_depth
        passages = [chunk.text for chunk in found.chunks(found.keys[:depth])]
        began = time.process_time()
        encoder.score(found.asked.query.text, passages)
        ms.append(1000 * (time.process_time() - began))
        index._rooms.__dict__["cross_encoder"] = encoder
        again = searching.find(index._rooms, Request(questions.queries[query_id]))
        index._rooms.__dict__["cross_encoder"] = None
        for part, one in zip(rows, (found, again), strict=True):
            best = listing.by_document(one.snapshot, one.keys, one.scores, k=100)
            rows[part].append(measures.score(parsed, dict(best), questions.qrels[query_id]))
    before, after = (np.array(rows[part]) for part in rows)
    low, high = significance.interval(after - before)
    figures = {
        part: dict(zip(MEASURES, np.mean(values, axis=0).round(4).tolist(), strict=True))
        for part, values in rows.items()
    }
    gains = {
        name: [round(float(x), 4) for x in ((after - before)[:, at].mean(), low[at], high[at])]
        for at, name in enumerate(MEASURES)
    }
    return {"questions": len(ids), **figures, "gain": gains, "cpu_ms": round(float(np.median(ms)), 1)}


def main() -> None:
    """Measure the sets named and print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=["scifact"])
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--indexes", default="quality")
    options = parser.parse_args()
    for name in options.sets:
        to = CACHE / "rerankers" / f"{name}-reranker"
        with fingerpost.open(CACHE / options.indexes / name, settings=Settings()) as index:
            notes = [] if to.exists() else trained(index, name, to, options.minutes)
            print(*notes, sep="\n", flush=True)
            result: dict[str, Any] = {"set": name, "minutes": options.minutes, "training": notes}
            if to.exists():
                result |= compared(index, CrossEncoder(to), load_beir(data_folder() / name), options.most)
                lines = [[part, *result[part].values()] for part in ("search", "with reranker")]
                print(table(["", *MEASURES], lines), result["gain"], f"{result['cpu_ms']} cpu-ms")
        write("reranker", result, part=name)


if __name__ == "__main__":
    main()
