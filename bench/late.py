"""A late-interaction model by path (``models.late``): a checkpoint made here, and what an index gains by it.

    python -m bench.late [--train scifact] [--most 300] [--indexes quality] [--compile spider-tables …]

No published ColBERT can be had from a package registry. So one is made: MiniLM's weights with a projection
384 → 128 trained on a set's training questions (contrastive MaxSim over the search's candidates), written to
bench/cache as PyLate writes a checkpoint. Its rankings are compared with those of the encoder's own vectors
on the set's test questions, from token vectors in float16 (bench/codec.py, which encodes them the first time)
and coded as an index codes them; ``--compile`` builds whole indexes of other sets with ``models.late`` and
without. Needs the extra ``train``. Seconds and milliseconds are processor time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

import fingerpost
from bench.codec import Bench, Coded, Judge, Question
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import measures, significance
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.facade import Index
from fingerpost.index.search import listing, searching
from fingerpost.index.search.found import Request
from fingerpost.models import sources
from fingerpost.models.late import LateEncoder, load_late
from fingerpost.rerank.codec import Codec, Pieces, inverse_frequency, weights_of
from fingerpost.route.deep.lazy import torch

DIM, WRONG, PASSES, BATCH, RATE, HEAT = 128, 7, 2, 4, 1e-3, 20.0
EXAMPLES = 500
FOLDER = CACHE / "late" / "model"
FULL_LOOK: dict[str, object] = {"rerank": {"skip": 0.0, "short": 0.0}}
MEASURE = measures.parse("nDCG@10")
Floats = NDArray[np.float32]


def write_checkpoint(folder: Path, weight: Floats) -> Path:
    """MiniLM with a projection [384, dim], as PyLate saves it: no prefixes, queries not filled up."""
    source = sources.minilm().folder
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "1_Dense").mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copyfile(source / name, folder / name)
    turned = np.ascontiguousarray(weight.T)
    save_file({"linear.weight": turned}, folder / "1_Dense" / "model.safetensors")
    sizes = {"in_features": turned.shape[1], "out_features": turned.shape[0], "bias": False}
    dense = {**sizes, "activation_function": "torch.nn.modules.linear.Identity"}
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    framing = {"model_type": "ColBERT", "query_prefix": "", "document_prefix": "", "query_length": 64}
    lengths = {"document_length": 256, "do_query_expansion": False, "skiplist_words": []}
    for name, value in {
        "1_Dense/config.json": dense,
        "modules.json": modules,
        "config_sentence_transformers.json": framing | lengths,
    }.items():
        (folder / name).write_text(json.dumps(value, indent=1))
    return folder


def examples(bench: Bench, seed: int) -> list[tuple[Question, list[int]]]:
    """A right candidate and some wrong ones of each question that has both, by key."""
    random, found = np.random.default_rng(seed), []
    for question in bench.questions:
        keys, docs = question.candidates.keys[question.first], question.candidates.docs[question.first]
        names = [about.doc_id for about in bench.snapshot.about(docs.tolist())]
        right = np.array([question.grades.get(name, 0) > 0 for name in names], np.bool_)
        if right.any() and not right.all():
            wrong = random.permutation(keys[~right][:50])[:WRONG]
            found.append((question, [int(keys[right][0]), *wrong.tolist()]))
    return found


def train(bench: Bench, chosen: Sequence[tuple[Question, list[int]]], seed: int = 0) -> Floats:
    """A projection [384, DIM]: from the directions of most variance, by contrastive MaxSim."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    idf = inverse_frequency(bench.sample[1])
    every = np.concatenate(bench.sample[0][:500])
    axes = np.linalg.eigh(every.T @ every)[1][:, ::-1][:, :DIM]
    weight = torch.tensor(np.ascontiguousarray(axes), requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=RATE)
    random = np.random.default_rng(seed)
    for _ in range(PASSES):
        order = random.permutation(len(chosen))
        for at in range(0, len(order), BATCH):
            losses = [_loss(bench, weight, chosen[one], idf) for one in order[at : at + BATCH].tolist()]
            optimiser.zero_grad()
            torch.stack(losses).mean().backward()
            optimiser.step()
    return np.asarray(weight.detach().numpy(), np.float32)


def _loss(bench: Bench, weight: Any, example: tuple[Question, list[int]], idf: Floats) -> Any:
    question, keys = example
    assert question.asked.encoded is not None
    unit = torch.nn.functional.normalize
    asked = question.asked.encoded
    query = unit(torch.from_numpy(asked.tokens) @ weight, dim=1)
    share = weights_of(asked.token_ids, idf)
    shares = torch.from_numpy(share / max(float(share.sum()), 1e-9))
    best = [(unit(torch.from_numpy(bench.tokens[key][0]) @ weight, dim=1) @ query.T).amax(0) for key in keys]
    scores = torch.stack([(one * shares).sum() for one in best])
    return torch.nn.functional.cross_entropy(HEAT * scores[None], torch.tensor([0]))


class Projected:
    """The token vectors of passages as the checkpoint gives them: MiniLM's, projected."""

    def __init__(self, bench: Bench, weight: Floats) -> None:
        self._tokens, self._weight = bench.tokens, weight

    def __getitem__(self, key: int) -> tuple[Floats, Pieces]:
        vectors, ids = self._tokens[key]
        turned = vectors @ self._weight
        return turned / np.linalg.norm(turned, axis=1, keepdims=True), ids


@contextmanager
def by(bench: Bench, model: LateEncoder, weight: Floats) -> Iterator[None]:
    """The bench with the checkpoint's vectors in the place of the encoder's own."""
    before = bench.tokens, bench.sample, bench.questions
    bench.tokens = Projected(bench, weight)  # type: ignore[assignment]
    keys = bench.snapshot.keys()
    picked = keys[np.unique(np.linspace(0, len(keys) - 1, len(before[1][0])).astype(np.int64))]
    bench.sample = list(zip(*(bench.tokens[key] for key in picked.tolist()), strict=True))
    bench.questions = [_asked(question, model) for question in before[2]]
    try:
        yield
    finally:
        bench.tokens, bench.sample, bench.questions = before


def _asked(question: Question, model: LateEncoder) -> Question:
    assert question.asked.encoded is not None
    encoded = replace(question.asked.encoded, late=model.query(question.asked.query.text))
    return replace(question, asked=replace(question.asked, encoded=encoded))


def ranked(bench: Bench) -> dict[str, NDArray[np.float64]]:
    """nDCG@10 of every question, of MaxSim alone and the search, float and coded; and bytes a chunk."""
    exact = Judge(bench)
    coded = Coded(bench, Codec.train(*bench.sample))
    alone, whole = bench.values(exact)
    alone_coded, whole_coded = bench.values(coded)
    parts = {"maxsim, float": alone, "search, float": whole}
    return parts | {"maxsim": alone_coded, "search": whole_coded, "bytes": np.array([coded.chunk_bytes])}


def in_domain(name: str, most: int, indexes: str) -> dict[str, object]:
    """Train on a set's training split, judge on its test split."""
    with fingerpost.open(CACHE / indexes / name, settings=Settings()) as index:
        bench = Bench(index, name, "train", EXAMPLES)
        began = time.process_time()
        chosen = examples(bench, seed=0)
        weight = train(bench, chosen)
        seconds = time.process_time() - began
        write_checkpoint(FOLDER, weight)
        model = load_late(FOLDER)
        bench = Bench(index, name, "test", most)
        own = ranked(bench)
        with by(bench, model, weight):
            trained = ranked(bench)
    gains = {part: gain(trained[part], own[part]) for part in own if part != "bytes"}
    return {
        "set": name,
        "questions": len(bench.questions),
        "examples": len(chosen),
        "train_seconds": round(seconds, 1),
        "encoder": {part: round(float(values.mean()), 4) for part, values in own.items()},
        "checkpoint": {part: round(float(values.mean()), 4) for part, values in trained.items()},
        "gain": gains,
    }


def gain(now: NDArray[np.float64], then: NDArray[np.float64]) -> list[float]:
    """The mean difference and its interval."""
    low, high = significance.interval((now - then)[:, None])
    return [round(float(x), 4) for x in ((now - then).mean(), low[0], high[0])]


def compiled(name: str, most: int) -> dict[str, Any]:
    """Whole indexes of a set, by the encoder alone and with the checkpoint."""
    questions, rows = load_beir(data_folder() / name), {}
    values: dict[str, NDArray[np.float64]] = {}
    for kind, late in (("encoder", ""), ("checkpoint", str(FOLDER))):
        kb = CACHE / "late" / f"{name}-{kind}"
        shutil.rmtree(kb, ignore_errors=True)
        settings = Settings.model_validate({"models": {"late": late}, **FULL_LOOK})
        began = time.process_time()
        with fingerpost.compile(data_folder() / name, to=kb, settings=settings) as index:
            seconds = time.process_time() - began
            values[kind], ms = searched(index, questions, most)
            chunks = int(index.status()["chunks"])
        codes = next(kb.glob("gen-*/tokens.u8")).stat().st_size
        rows[kind] = {
            "nDCG@10": round(float(values[kind].mean()), 4),
            "compile_seconds": round(seconds, 1),
            "query_ms": round(ms, 1),
            "bytes_a_chunk": round(codes / chunks),
        }
        shutil.rmtree(kb)
    return {"set": name, "chunks": chunks, **rows, "gain": gain(values["checkpoint"], values["encoder"])}


def searched(index: Index, questions: QuestionSet, most: int) -> tuple[NDArray[np.float64], float]:
    """nDCG@10 of every question, and the median of milliseconds of a whole search."""
    found, ms = [], []
    for query_id in np.random.default_rng(0).permutation(sorted(questions.qrels))[:most].tolist():
        began = time.process_time()
        one = searching.find(index._rooms, Request(questions.queries[query_id]))
        ms.append(1000 * (time.process_time() - began))
        best = listing.by_document(one.snapshot, one.keys, one.scores, k=100)
        found.append(measures.score(MEASURE, dict(best), questions.qrels[query_id])[0])
    return np.array(found), float(np.median(ms))


def main() -> None:
    """Make the checkpoint, compare, print, write one file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", default="scifact")
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--indexes", default="quality")
    parser.add_argument("--compile", nargs="*", default=["spider-tables"])
    options = parser.parse_args()
    result = in_domain(options.train, options.most, options.indexes)
    print(result, flush=True)
    indexes = [compiled(name, options.most) for name in options.compile]
    print(
        table(
            ["set", "", *MADE], [[one["set"], kind, *one[kind].values()] for one in indexes for kind in KINDS]
        )
    )
    print([one["gain"] for one in indexes], flush=True)
    write("late", {**result, "indexes": indexes}, part=options.train)


KINDS = ("encoder", "checkpoint")
MADE = ("nDCG@10", "compile s", "query ms", "bytes a chunk")

if __name__ == "__main__":
    main()
