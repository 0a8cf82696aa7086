"""Quality on the retrieval sets: every leg, and the search before and after learning, beside bm25s.

    python -m bench.quality [set …] [--most 1500]

Each set is compiled into bench/cache (kept, so that a second run only measures) and evaluated on its test
split; a copy is taught its training split and evaluated again. The peer is bm25s (Lucene's method, English
stop words, Snowball). At most ``--most`` test questions are taken, by a seeded draw.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings

SETS = ("scifact", "spider-tables", "cosqa", "squad4", "medquad")
MEASURES = ("nDCG@10", "Hits@1", "R@100", "failure@20")


def sampled(name: str, most: int) -> Path:
    """The set with at most ``most`` test questions (seeded), its training split whole."""
    source, target = data_folder() / name, CACHE / "sets" / f"{name}-{most}"
    lines = (source / "qrels" / "test.tsv").read_text().splitlines()
    queries = sorted({line.split("\t")[0] for line in lines[1:]})
    kept = set(np.random.default_rng(0).permutation(queries)[:most].tolist())
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    chosen = [line for line in lines[1:] if line.split("\t")[0] in kept]
    (target / "qrels" / "test.tsv").write_text("\n".join([lines[0], *chosen]) + "\n")
    for part in ("queries.jsonl", "corpus.jsonl", "qrels/train.tsv"):
        (target / part).unlink(missing_ok=True)
        (target / part).symlink_to((source / part).resolve())
    return target


def measure(name: str, most: int) -> dict[str, object]:
    """One set: compile, evaluate, learn, evaluate."""
    folder, kb = sampled(name, most), CACHE / "quality" / name
    began = time.perf_counter()
    with fingerpost.compile(data_folder() / name, to=kb, settings=Settings()) as index:
        compiled = time.perf_counter() - began
        before = index.evaluate(folder, measures=MEASURES)
    taught = CACHE / "quality" / f"{name}-learned"
    shutil.rmtree(taught, ignore_errors=True)
    shutil.copytree(kb, taught)
    with fingerpost.open(taught, write=True) as index:
        began = time.perf_counter()
        report = index.learn(folder)
        learned = time.perf_counter() - began
        after = index.evaluate(folder, measures=MEASURES)
        chunks = index.status()["chunks"]
    rows: dict[str, object] = {f"fingerpost {leg}": figures for leg, figures in before.means().items()}
    rows["fingerpost learned"] = after.means()["search"]
    rows["bm25s"] = bm25s_peer(folder)
    return {
        "set": name,
        "questions": len(before.query_ids),
        "chunks": chunks,
        "seconds": {"compile": round(compiled, 1), "learn": round(learned, 1)},
        "legs": rows,
        "intervals": {"search": before.intervals()["search"], "learned": after.intervals()["search"]},
        "seen": {"before": before.means(before.seen)["search"], "learned": after.means(after.seen)["search"]},
        "unseen": before.means(~before.seen) | {"learned": after.means(~after.seen)["search"]},
        "learning": list(report.notes),
    }


def bm25s_peer(folder: Path) -> Mapping[str, float]:
    """BM25 as the field's Python users run it."""
    import bm25s
    import Stemmer

    from fingerpost.evaluate import measures
    from fingerpost.evaluate.datasets import load_beir

    records = [json.loads(line) for line in (folder / "corpus.jsonl").open()]
    stemmer = Stemmer.Stemmer("english")
    texts = [f"{record['title']} {record['text']}" for record in records]
    engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    engine.index(
        bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False
    )
    questions = load_beir(folder)
    parsed = measures.parse(" ".join(MEASURES))
    asked = bm25s.tokenize(
        list(questions.queries.values()), stopwords="en", stemmer=stemmer, show_progress=False
    )
    found, scores = engine.retrieve(asked, k=100, show_progress=False)
    values = [
        measures.score(parsed, {records[d]["_id"]: float(s) for d, s in zip(row, given, strict=True)}, grades)
        for row, given, grades in zip(found, scores, questions.qrels.values(), strict=True)
    ]
    return dict(zip(MEASURES, np.mean(values, axis=0).tolist(), strict=True))


def main() -> None:
    """Measure the sets named and print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--most", type=int, default=1500)
    options = parser.parse_args()
    results = []
    for name in options.sets:
        results.append(measure(name, options.most))
        print(f"\n### {name}: {results[-1]['questions']} questions, {results[-1]['seconds']} s\n")
        rows = [[leg, *figures.values()] for leg, figures in results[-1]["legs"].items()]  # type: ignore[attr-defined]
        rows += [[f"unseen, {leg}", *figures.values()] for leg, figures in results[-1]["unseen"].items()]  # type: ignore[attr-defined]
        print(table(["leg", *MEASURES], rows), flush=True)
        print("\n".join(f"- {note}" for note in results[-1]["learning"]))  # type: ignore[attr-defined]
        write("quality", results[-1], part=name)


if __name__ == "__main__":
    main()
