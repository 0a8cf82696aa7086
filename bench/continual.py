"""Lesson after lesson: are new documents found before anybody trains, and are old questions forgotten?

    python -m bench.continual [set …] [--seeds 3] [--documents 1000] [--train 400] [--test 150] [--workers 1]

Each set is cut by document into three batches that come one after the other (40, 30 and 30 of 100, by
a seeded draw; a question belongs to the batch of its last document). Batch 1 is compiled and taught; batch 2
comes by ``update``, first without training, then with a lesson of its own questions; then batch 3 likewise.
Every question measured is of the test split, and the same question is compared with itself:

- *fresh*: questions about the new documents, taught nothing about them, against the same index untrained and
  against the index once it was taught about them (a lesson trains anew on all pairs given so far, so this is
  the index that learned everything at once); and the same of old questions, for scale;
- *forgetting*: questions about older documents right before a lesson and after it, same documents;
- *without replay*, the control: the second lesson with the first one's pairs forgotten.

At most ``--documents`` documents (those that questions name, then others), ``--train`` training questions and
``--test`` test questions. Intervals are bootstraps over questions, the seeds of a question drawn together.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import significance
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.epoch import FOREST, LESSON, MEMORY, PLAN
from fingerpost.records import GIVEN, Pair

SETS = ("spider-tables", "scifact", "cosqa", "squad4")
MEASURES = ("nDCG@10", "Hits@1", "R@10")
CUTS = (0.4, 0.7, 1.0)

Values = NDArray[np.float64]
Found = dict[str, dict[str, Values]]
"""Stage → question → its values."""


@dataclass(frozen=True)
class Batch:
    """Documents that come together, and the questions about them."""

    path: Path
    pairs: list[Pair]
    asked: QuestionSet


def main() -> None:
    """Measure the sets named, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    most = (options.documents, options.train, options.test)
    for name in options.sets:
        runs, lessons, seconds = [], [], 0.0
        with ProcessPoolExecutor(options.workers) as pool:
            jobs = [pool.submit(measure, name, seed, most) for seed in range(options.seeds)]
            for seed, job in enumerate(jobs):
                found, said, spent = job.result()
                runs.append(found)
                lessons.append(said)
                seconds += spent
                print(f"{name}, seed {seed}: {said}", flush=True)
                rows = {**compared(runs), "means": means(runs)}
                told = {"set": name, "seeds": len(runs), "cpu_s": round(seconds), **rows}
                write("continual", {**told, "lessons": lessons}, part=name)
        print(f"\n### {name}\n")
        print(table(["difference", "questions", *MEASURES], list(lines(rows))), flush=True)


def measure(name: str, seed: int, most: Sequence[int]) -> tuple[Found, dict[str, list[str]], float]:
    """One set cut by one seed, through three lessons: what was found, what the lessons said, CPU seconds."""
    began = time.process_time()
    home = CACHE / "continual" / f"{name}-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    first, second, third = batches(name, seed, most, home)
    found: Found = {}
    said: dict[str, list[str]] = {}

    def look(index: fingerpost.Index, stage: str, *asked: Batch) -> None:
        for number, batch in enumerate(asked, start=1):
            values = index.evaluate(batch.asked, measures=MEASURES).values["search"]
            found[f"{stage}, batch {number}"] = dict(zip(batch.asked.queries, values, strict=True))

    def learned(index: fingerpost.Index, stage: str, batch: Batch) -> None:
        said[stage] = list(index.learn(batch.pairs).notes)

    with fingerpost.compile(first.path, to=home / "kb", settings=Settings()) as index:
        learned(index, "lesson 1", first)
        look(index, "lesson 1", first)
        index.update(second.path)
        look(index, "update 2", first, second)
        with copied(home) as other:
            untaught(other)
            look(other, "untrained 2", first, second)
        with copied(home) as other:
            other._rooms.store.forget_pairs(0, GIVEN)
            learned(other, "lesson 2 without replay", second)
            look(other, "lesson 2 without replay", first, second)
        learned(index, "lesson 2", second)
        look(index, "lesson 2", first, second)
        index.update(third.path)
        look(index, "update 3", first, second, third)
        with copied(home) as other:
            untaught(other)
            look(other, "untrained 3", first, second, third)
        learned(index, "lesson 3", third)
        look(index, "lesson 3", first, second, third)
    shutil.rmtree(home)
    return found, said, time.process_time() - began


@contextmanager
def copied(home: Path) -> Iterator[fingerpost.Index]:
    """The index as it is now, copied, for what must not touch it."""
    other = home / "other"
    shutil.copytree(home / "kb", other)
    try:
        with fingerpost.open(other, write=True, settings=Settings()) as index:
            yield index
    finally:
        shutil.rmtree(other)


def untaught(index: fingerpost.Index) -> None:
    """The same documents, with nothing learned."""
    index._rooms.store.republish({}, drop=(MEMORY, FOREST, PLAN, LESSON))


def batches(
    name: str, seed: int, most: Sequence[int], home: Path, *, cuts: Sequence[float] = CUTS
) -> list[Batch]:
    """Batches of documents, cut at these shares of them, with their training pairs and test questions."""
    folder, random = data_folder() / name, np.random.default_rng(seed)
    splits = {split: load_beir(folder, split) for split in ("train", "test")}
    kept = {s: drawn(splits[s], n, random) for s, n in (("train", most[1]), ("test", most[2]))}
    named = {doc_id: None for s, ids in kept.items() for q in ids for doc_id in right(splits[s], q)}
    with (folder / "corpus.jsonl").open() as file:
        records = {record["_id"]: record for record in map(json.loads, file)}
    others = [doc_id for doc_id in random.permutation(sorted(records)).tolist() if doc_id not in named]
    chosen = random.permutation(sorted([*named, *others[: max(0, most[0] - len(named))]])).tolist()
    batch_of = {
        doc_id: int(np.searchsorted(cuts, (at + 1) / len(chosen))) for at, doc_id in enumerate(chosen)
    }
    made = []
    for number in range(len(cuts)):
        path = home / f"batch-{number + 1}.jsonl"
        own = [json.dumps(records[doc_id]) for doc_id in chosen if batch_of[doc_id] == number]
        path.write_text("\n".join(own) + "\n")
        pairs = [
            Pair(splits["train"].queries[q], doc_id)
            for q in kept["train"]
            for doc_id in right(splits["train"], q)
            if max(batch_of[d] for d in right(splits["train"], q)) == number
        ]
        test = splits["test"]
        ids = [q for q in kept["test"] if max(batch_of[d] for d in right(test, q)) == number]
        made.append(Batch(path, pairs, only(test, ids)))
    return made


def drawn(questions: QuestionSet, most: int, random: np.random.Generator) -> list[str]:
    """Ids of at most ``most`` questions that have an answer."""
    answered = [query_id for query_id in sorted(questions.queries) if right(questions, query_id)]
    return random.permutation(answered)[:most].tolist()


def right(questions: QuestionSet, query_id: str) -> list[str]:
    """The documents that answer a question."""
    return [doc_id for doc_id, grade in questions.qrels[query_id].items() if grade > 0]


def only(questions: QuestionSet, ids: Sequence[str]) -> QuestionSet:
    """Some of the questions."""
    queries = {query_id: questions.queries[query_id] for query_id in ids}
    qrels = {query_id: questions.qrels[query_id] for query_id in ids}
    return QuestionSet(questions.name, questions.split, queries, qrels, trained=frozenset())


COMPARED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "fresh documents, taught nothing about them, to untrained": (
        ("update 2, batch 2", "untrained 2, batch 2"),
        ("update 3, batch 3", "untrained 3, batch 3"),
    ),
    "fresh documents, taught nothing about them, to everything learned at once": (
        ("update 2, batch 2", "lesson 2, batch 2"),
        ("update 3, batch 3", "lesson 3, batch 3"),
    ),
    "old documents, taught, to untrained": (
        ("update 2, batch 1", "untrained 2, batch 1"),
        ("update 3, batch 1", "untrained 3, batch 1"),
        ("update 3, batch 2", "untrained 3, batch 2"),
    ),
    "forgetting: old questions, after lesson 2 to before": (("lesson 2, batch 1", "update 2, batch 1"),),
    "forgetting: old questions, after lesson 3 to before": (
        ("lesson 3, batch 1", "update 3, batch 1"),
        ("lesson 3, batch 2", "update 3, batch 2"),
    ),
    "forgetting without replay: old questions, after lesson 2 to before": (
        ("lesson 2 without replay, batch 1", "update 2, batch 1"),
    ),
    "new questions, after their lesson to before": (
        ("lesson 2, batch 2", "update 2, batch 2"),
        ("lesson 3, batch 3", "update 3, batch 3"),
    ),
}
"""What is compared: stages after and before, on the same questions."""


def compared(runs: Sequence[Found]) -> dict[str, dict[str, object]]:
    """Paired differences in points with bootstrap intervals, the runs of one question taken together."""
    rows: dict[str, dict[str, object]] = {}
    for said, stages in COMPARED.items():
        gains: dict[str, list[Values]] = {}
        for found in runs:
            for after, before in stages:
                for query_id, values in found[after].items():
                    gains.setdefault(query_id, []).append(values - found[before][query_id])
        each = np.array([np.mean(given, axis=0) for given in gains.values()]) * 100
        low, high = significance.interval(each)
        figures = zip(MEASURES, each.mean(axis=0), low, high, strict=True)
        rows[said] = {"questions": len(each), **{m: [round(float(x), 2) for x in row] for m, *row in figures}}
    return rows


def means(runs: Sequence[Found]) -> dict[str, dict[str, list[float]]]:
    """The mean of each stage, by seed."""
    return {
        stage: {
            measure: [round(float(np.mean([v[at] for v in found[stage].values()])), 4) for found in runs]
            for at, measure in enumerate(MEASURES)
        }
        for stage in runs[0]
    }


def lines(rows: Mapping[str, Mapping[str, object]]) -> Iterator[list[object]]:
    """The rows of the printed table: differences in points with their intervals."""
    for said in COMPARED:
        cells = [rows[said][measure] for measure in MEASURES]
        yield [said, rows[said]["questions"], *(f"{c[0]:+.2f} [{c[1]:.2f}, {c[2]:.2f}]" for c in cells)]  # type: ignore[index]


if __name__ == "__main__":
    main()
