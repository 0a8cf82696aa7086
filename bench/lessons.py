"""What the gate of `learn` lets through: lessons of random labels, and small lessons of real ones.

    python -m bench.lessons [set …] [--draws 30] [--real 6] [--outside 150]

- *random*: an index of 60 documents that training questions ask for, so that most labels are candidates; 60,
  120 and 300 training questions, each labelled with one of the 60 at random. Whatever is put to use here
  makes the index worse.
- *real*: 40, 80 and 160 training questions with their documents, on the whole set. Where a lesson is put to
  use, ``--outside`` other training questions tell what it does to questions that nobody taught.

``by one error`` is what the rule of before would have let through: 100 usable questions, and a mean gain of
more than one standard error and half a point. Test splits are not read.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from bench.continual import only, right
from fingerpost.config import Settings
from fingerpost.errors import InputError
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.learn import learning
from fingerpost.index.learn.given import read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.records import Pair
from fingerpost.rerank.proof import matters

SETS = ("spider-tables", "scifact")
SMALL = 60
RANDOM, REAL = (60, 120, 300), (40, 80, 160)
BEFORE = 100
MEASURE = "nDCG@10"
SETTINGS = Settings.model_validate({"compile": {"threads": 1}})


@dataclass(frozen=True)
class Outcome:
    """One lesson: whether it is put to use, whether it was before, its held-out gain, and that outside."""

    now: bool
    before: bool
    gain: float
    outside: float | None


def main() -> None:
    """Measure the sets named, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--real", type=int, default=6)
    parser.add_argument("--outside", type=int, default=150)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name in options.sets:
        asked = load_beir(data_folder() / name, "train")
        small = few_documents(name, asked)
        for size in RANDOM:
            lessons = (random_pairs(asked, small[1], size, draw) for draw in range(options.draws))
            rows.append(measured(name, "random", size, small[0], lessons, None))
        home = CACHE / "lessons" / name
        fingerpost.compile(data_folder() / name, to=home, settings=SETTINGS).close()
        for size in REAL:
            drawn = [real_pairs(asked, size, draw, options.outside) for draw in range(options.real)]
            outside = [questions for _, questions in drawn]
            rows.append(measured(name, "real", size, home, (pairs for pairs, _ in drawn), outside))
    write("lessons", {"draws": options.draws, "real": options.real, "lessons": rows})
    print(table(list(rows[0]), [list(row.values()) for row in rows]))


def few_documents(name: str, asked: QuestionSet) -> tuple[Path, list[str]]:
    """An index of ``SMALL`` documents that questions ask for, and their ids."""
    wanted = sorted({doc_id for query_id in asked.qrels for doc_id in right(asked, query_id)})
    kept = np.random.default_rng(0).permutation(wanted)[:SMALL].tolist()
    folder = CACHE / "lessons" / f"{name}-{SMALL}"
    folder.mkdir(parents=True, exist_ok=True)
    with (data_folder() / name / "corpus.jsonl").open() as file:
        lines = [line for line in file if json.loads(line)["_id"] in set(kept)]
    (folder / "corpus.jsonl").write_text("".join(lines))
    fingerpost.compile(folder / "corpus.jsonl", to=folder / "kb", settings=SETTINGS).close()
    return folder / "kb", kept


def random_pairs(asked: QuestionSet, documents: list[str], size: int, draw: int) -> list[Pair]:
    """Real questions, each with a document at random."""
    random = np.random.default_rng([draw, size])
    texts = random.permutation(sorted(set(asked.queries.values())))[:size].tolist()
    return [Pair(text, documents[random.integers(len(documents))]) for text in texts]


def real_pairs(asked: QuestionSet, size: int, draw: int, outside: int) -> tuple[list[Pair], QuestionSet]:
    """So many questions with their documents, and others."""
    order = np.random.default_rng([draw, size]).permutation(sorted(asked.queries)).tolist()
    taught = [
        Pair(asked.queries[query_id], doc_id)
        for query_id in order[:size]
        for doc_id in right(asked, query_id)
    ]
    return taught, only(asked, order[size : size + outside])


def measured(
    name: str,
    kind: str,
    size: int,
    home: Path,
    lessons: Iterator[list[Pair]],
    outside: list[QuestionSet] | None,
) -> dict[str, object]:
    """All draws of one kind and size as a row."""
    began, copy = time.process_time(), home.parent / "lesson"
    found = []
    for draw, pairs in enumerate(lessons):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        found.append(taught(copy, pairs, outside[draw] if outside else None))
        print(name, kind, size, draw, found[-1], flush=True)
    shutil.rmtree(copy, ignore_errors=True)
    moved = [one.outside for one in found if one.outside is not None]
    return {
        "set": name,
        "lesson": kind,
        "questions": size,
        "draws": len(found),
        "put to use": sum(one.now for one in found),
        "by one error": sum(one.before for one in found),
        "mean held-out gain": round(float(np.mean([one.gain for one in found])), 4),
        "mean gain outside": round(float(np.mean(moved)), 4) if moved else "–",
        "cpu s": round(time.process_time() - began),
    }


def taught(home: Path, pairs: list[Pair], outside: QuestionSet | None) -> Outcome:
    """Teach a lesson and see whether it is put to use, and what it does outside."""
    with fingerpost.open(home, write=True, settings=SETTINGS) as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        try:
            lesson = learning.teach(rooms, snapshot, prepare(rooms, snapshot, read(pairs), silent), silent)
        except InputError:  # one document is claimed by too many, as chance has it
            return Outcome(False, False, 0.0, None)
        figures = lesson.result.figures
        gain = figures.get("gain", 0.0)
        before = bool(figures) and figures["queries"] >= BEFORE and matters(gain, figures["error"])
        moved = None
        if lesson.artifacts and outside is not None:
            values = [_values(index, outside)]
            learning.publish(rooms, lesson)
            values.append(_values(index, outside))
            moved = float((values[1] - values[0]).mean())
        return Outcome(bool(lesson.artifacts), before, gain, moved)


def _values(index: fingerpost.Index, asked: QuestionSet) -> np.ndarray:
    return np.asarray(index.evaluate(asked, measures=(MEASURE,)).values["search"])[:, 0]


if __name__ == "__main__":
    main()
