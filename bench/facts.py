"""Short metadata as words: each set searched with ``compile.metadata`` off and on.

    python -m bench.facts [set …] [--most 500] [--documents 3000]

A set larger than ``--documents`` is cut to the documents of its questions and others by a seeded draw, the
same for both. At most ``--most`` test questions. Differences on minus off are paired, with 95 % bootstrap
intervals. cosqa and scifact are not here: their records hold no metadata, so both indexes are the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import fingerpost
from bench.common import CACHE, table, write
from bench.quality import sampled
from bench.zeroshot import difference
from fingerpost.config import Settings

SETS = ("spider-tables", "squad4", "medquad", "clinc150-intents")
MEASURES = ("nDCG@10", "Hits@1", "failure@20")
LEGS = ("lexical", "search")


def cut(name: str, most: int, documents: int) -> Path:
    """The set with at most so many questions and documents, in the cache."""
    source, target = sampled(name, most), CACHE / "facts" / name / "set"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / "qrels", target / "qrels")
    shutil.copy(source / "queries.jsonl", target)
    lines = (source / "qrels" / "test.tsv").read_text().splitlines()[1:]
    asked = {line.split("\t")[1] for line in lines}
    records = (source / "corpus.jsonl").read_text().splitlines()
    order = np.random.default_rng(0).permutation(len(records))
    drawn = sorted(order.tolist(), key=lambda at: str(json.loads(records[at])["_id"]) not in asked)
    kept = sorted(drawn[:documents])
    (target / "corpus.jsonl").write_text("".join(f"{records[at]}\n" for at in kept))
    return target


def measure(name: str, most: int, documents: int) -> dict[str, Any]:
    """One set, both ways."""
    folder, kb = cut(name, most, documents), CACHE / "facts" / name / "kb"
    shutil.rmtree(kb, ignore_errors=True)
    found = {}
    for on in (False, True):
        chosen = Settings.model_validate({"compile": {"metadata": on}})
        with fingerpost.compile(folder / "corpus.jsonl", to=kb, settings=chosen) as index:
            found[on] = index.evaluate(folder, measures=MEASURES)
    rows: dict[str, Any] = {}
    for leg in LEGS:
        off, with_facts = (found[on].values[leg] for on in (False, True))
        rows[leg] = {
            measure: {
                "off": round(float(off[:, at].mean()), 4),
                "on": round(float(with_facts[:, at].mean()), 4),
                "gain": difference(with_facts[:, at], off[:, at]),
            }
            for at, measure in enumerate(MEASURES)
        }
    return {"questions": len(found[True].values["search"]), "documents": documents, "legs": rows}


def main() -> None:
    """Run and write bench/results/facts.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--most", type=int, default=500)
    parser.add_argument("--documents", type=int, default=3_000)
    chosen = parser.parse_args()
    results = {name: measure(name, chosen.most, chosen.documents) for name in chosen.sets}
    rows = [
        [name, leg, measure, each["off"], each["on"], str(each["gain"])]
        for name, result in results.items()
        for leg, measures in result["legs"].items()
        for measure, each in measures.items()
    ]
    print(table(["set", "leg", "measure", "off", "on", "gain"], rows))
    write("facts", {"sets": results})


if __name__ == "__main__":
    main()
