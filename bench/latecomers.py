"""Latecomers: are documents found that come after a lesson about nearly all others, and do they bury those?

    python -m bench.latecomers [set …] [--seeds 2] [--most 1500]

Four fifths of a set's documents, by a seeded draw, are compiled and taught with the training questions that
they answer alone; the rest comes by ``update`` and nothing is taught about it. Test questions, at most
``--most`` a seed, are asked of the index as it then is and of the same with nothing learned: those that old
documents answer alone, and the others. Intervals are bootstraps over questions, the seeds of a question drawn
together.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench import continual
from bench.common import CACHE, table, write
from bench.continual import MEASURES, Batch
from fingerpost.config import Settings
from fingerpost.evaluate import significance

SETS = ("spider-tables",)
CUTS = (0.8, 1.0)
EVERYTHING = 1_000_000
Gains = dict[str, list[NDArray[np.float64]]]


def main() -> None:
    """Measure the sets named and print a table of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--most", type=int, default=1500)
    options = parser.parse_args()
    for name in options.sets:
        began, lessons = time.process_time(), []
        gains: dict[str, Gains] = {"old documents": {}, "new documents": {}}
        means: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in gains}
        for seed in range(options.seeds):
            found, said = measure(name, seed, options.most)
            lessons.append(said)
            for kind, (learned, untrained) in found.items():
                means[kind].append({"learned": mean(learned), "untrained": mean(untrained)})
                for query_id, values in learned.items():
                    gains[kind].setdefault(query_id, []).append(values - untrained[query_id])
        rows = {kind: compared(each) for kind, each in gains.items()}
        spent = round(time.process_time() - began)
        told = {"set": name, "seeds": options.seeds, "cpu_s": spent, "learned - untrained": rows}
        write("latecomers", {**told, "means": means, "lessons": lessons}, part=name)
        print(f"\n### {name}\n")
        print(table(["learned - untrained", "questions", *MEASURES], lines(rows)), flush=True)


Found = Mapping[str, tuple[Mapping[str, NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]]


def measure(name: str, seed: int, most: int) -> tuple[Found, list[str]]:
    """One draw: values learned and untrained of questions about old and about new documents, and what the
    lesson said.
    """
    home = CACHE / "latecomers" / f"{name}-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    old, new = continual.batches(name, seed, (EVERYTHING, EVERYTHING, most), home, cuts=CUTS)

    def values(index: fingerpost.Index, batch: Batch) -> Mapping[str, NDArray[np.float64]]:
        found = index.evaluate(batch.asked, measures=MEASURES).values["search"]
        return dict(zip(batch.asked.queries, found, strict=True))

    with fingerpost.compile(old.path, to=home / "kb", settings=Settings()) as index:
        said = list(index.learn(old.pairs).notes)
        index.update(new.path)
        learned = values(index, old), values(index, new)
        continual.untaught(index)
        untrained = values(index, old), values(index, new)
    shutil.rmtree(home)
    kinds = ("old documents", "new documents")
    return dict(zip(kinds, zip(learned, untrained, strict=True), strict=True)), said


def mean(values: Mapping[str, NDArray[np.float64]]) -> list[float]:
    """The means over questions."""
    return [round(float(value), 4) for value in np.mean(list(values.values()), axis=0)]


def compared(gains: Gains) -> dict[str, object]:
    """Mean differences in points with bootstrap intervals."""
    each = np.array([np.mean(given, axis=0) for given in gains.values()]) * 100
    low, high = significance.interval(each)
    figures = zip(MEASURES, each.mean(axis=0), low, high, strict=True)
    return {"questions": len(each), **{m: [round(float(x), 2) for x in row] for m, *row in figures}}


def lines(rows: Mapping[str, Mapping[str, object]]) -> list[list[object]]:
    """The rows of the printed table."""
    return [
        [kind, row["questions"], *("{:+.2f} [{:.2f}, {:.2f}]".format(*row[m]) for m in MEASURES)]  # type: ignore[misc]
        for kind, row in rows.items()
    ]


if __name__ == "__main__":
    main()
