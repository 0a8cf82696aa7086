"""What a learned sparse leg adds: the untrained search with and without it, on the retrieval sets.

    python -m bench.sparse --model FOLDER [scifact cosqa spider-tables] [--most 300]

FOLDER holds a SPLADE-type model (ONNX, tokenizer.json, config.json; see docs/how-it-works.md); none comes
along. The index of ``python -m bench.quality`` is copied and given the leg. Its weight in the sum is tried on
training questions; test questions are measured with the weight that ships, beside the leg alone.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.runner import evaluate
from fingerpost.evaluate.significance import paired_p
from fingerpost.index import Index
from fingerpost.index.build import expanding
from fingerpost.index.search import listing, searching
from fingerpost.index.search.found import Request
from fingerpost.index.search.listing import Run
from fingerpost.models.splade import load_sparse
from fingerpost.retrieve import fuse

SETS = ("scifact", "cosqa", "spider-tables")
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
K = 100


def some(questions: QuestionSet, most: int) -> QuestionSet:
    """At most so many questions, by a seeded draw."""
    ids = np.random.default_rng(0).permutation(list(questions.queries)).tolist()[:most]
    queries = {each: questions.queries[each] for each in ids}
    return replace(questions, queries=queries, qrels={each: questions.qrels[each] for each in ids})


def measured(index: Index, questions: QuestionSet, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """nDCG@10 of each question, [n] for the search and for the sparse leg alone."""
    rooms = index._rooms
    fuse.SPARSE_WEIGHT = weight
    names: dict[int, str] = {}

    def rank(text: str) -> Mapping[str, Run]:
        found = searching.find(rooms, Request(text))
        run = listing.by_document(found.snapshot, found.keys, found.scores, k=K, names=names)
        keys, scores = expanding.scores(rooms, found.epoch.sparse, text)
        best = np.lexsort((keys, -scores))[: 3 * K]
        alone = listing.by_document(found.snapshot, keys[best], scores[best], k=K, names=names)
        return {"search": run, "sparse": alone}

    values = evaluate(questions, rank, parse("nDCG@10")).values
    return values["search"][:, 0], values["sparse"][:, 0]


def one(name: str, model: Path, most: int) -> dict[str, object]:
    """One set: give it the leg, try weights on training questions, measure test questions."""
    own = CACHE / "sparse" / name
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(CACHE / "quality" / name, own)
    settings = Settings.model_validate({"models": {"sparse": str(model)}})
    shipped = fuse.SPARSE_WEIGHT
    began = time.process_time()
    with fingerpost.compile(data_folder() / name, to=own, settings=settings) as index:
        seconds = time.process_time() - began
        chunks = int(index.status()["chunks"])
        taught = some(load_beir(data_folder() / name, "train"), most)
        tried = {weight: float(measured(index, taught, weight)[0].mean()) for weight in WEIGHTS}
        asked = some(load_beir(data_folder() / name), most)
        (without, alone), (with_it, _) = (measured(index, asked, each) for each in (0.0, shipped))
    fuse.SPARSE_WEIGHT = shipped
    return {
        "questions": len(asked.queries),
        "cpu_ms_a_chunk": 1000 * seconds / chunks,
        "training, by weight": tried,
        "sparse": float(alone.mean()),
        "search": float(without.mean()),
        "search with sparse": float(with_it.mean()),
        "p": paired_p(without, with_it),
    }


def main() -> None:
    """Every set, one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--most", type=int, default=300)
    options = parser.parse_args()
    result: dict[str, object] = {}
    rows: list[list[object]] = []
    for name in options.sets:
        told = one(name, options.model, options.most)
        result[name] = told
        tried = told["training, by weight"]
        assert isinstance(tried, dict)
        columns = ("questions", "sparse", "search", "search with sparse", "p", "cpu_ms_a_chunk")
        rows.append([name, *(told[column] for column in columns), *tried.values()])
        print(table(["set", *columns, *(f"train, weight {each}" for each in tried)], rows), flush=True)
    encoder = load_sparse(str(options.model))
    write("sparse", {"model": encoder.fingerprint if encoder else "", "sets": result})


if __name__ == "__main__":
    main()
