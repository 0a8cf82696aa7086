"""Without anybody's pairs: the search untrained, weighed by generated questions, and taught by people's.

    python -m bench.zeroshot [set …] [--most 1000] [--generate 1000] [--without-people]

Works on copies of the compiled sets of ``python -m bench.quality`` (made where missing). *untrained* is the
search as compiled, *generated* after ``learn --generate``, *people* after ``learn`` on the set's training
split instead. At most ``--most`` test questions, by a seeded draw. Differences are paired, with 95 %
bootstrap intervals: nDCG@10 to the best of BM25, dense and their RRF on the set (chosen with the test
questions themselves, which favours it), Hits@1 to BM25.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from bench.quality import sampled
from fingerpost.config import Settings
from fingerpost.evaluate import significance
from fingerpost.evaluate.report import Evaluation

SETS = ("scifact", "spider-tables", "cosqa", "squad4")
MEASURES = ("nDCG@10", "Hits@1", "failure@20")
LEGS = ("lexical", "dense", "hybrid")

Values = NDArray[np.float64]


def copied(name: str) -> Path:
    """A copy of the compiled set that may be taught."""
    source, copy = CACHE / "quality" / name, CACHE / "generated" / name
    if not source.exists():
        fingerpost.compile(data_folder() / name, to=source, settings=Settings()).close()
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    return copy


def difference(ours: Values, theirs: Values) -> list[float]:
    """The mean of the paired differences and its interval."""
    gains = (ours - theirs)[:, None]
    low, high = significance.interval(gains)
    return [round(float(x), 4) for x in (gains.mean(), low[0], high[0])]


def compared(found: Evaluation, legs: Evaluation) -> dict[str, Any]:
    """The search of one evaluation beside the legs of another on the same questions."""
    ours, others = found.values["search"], {leg: legs.values[leg] for leg in LEGS}
    best = max(LEGS, key=lambda leg: float(others[leg][:, 0].mean()))
    low, high = significance.interval(ours)
    means = zip(MEASURES, ours.mean(axis=0), low, high, strict=True)
    return {
        "figures": {name: [round(float(x), 4) for x in figures] for name, *figures in means},
        "best leg": best,
        "nDCG@10 to the best leg": difference(ours[:, 0], others[best][:, 0]),
        "Hits@1 to lexical": difference(ours[:, 1], others["lexical"][:, 1]),
        "nDCG@10 to untrained": difference(ours[:, 0], legs.values["search"][:, 0]),
    }


def measure(name: str, most: int, generate: int, *, people: bool) -> dict[str, Any]:
    """One set, three ways."""
    folder, kb = sampled(name, most), copied(name)
    with fingerpost.open(kb, write=True, settings=Settings()) as index:
        untrained = index.evaluate(folder, measures=MEASURES)
        rows = {"untrained": compared(untrained, untrained)}
        began = time.process_time()
        report = index.learn(generate=generate)
        seconds = {"generated": round(time.process_time() - began, 1)}
        rows["generated"] = compared(index.evaluate(folder, measures=MEASURES), untrained)
        notes = {"generated": list(report.notes)}
        if index.status()["fusion"] != "untrained":
            index.rollback()
        if people:
            began = time.process_time()
            notes["people"] = list(index.learn(folder).notes)
            seconds["people"] = round(time.process_time() - began, 1)
            rows["people"] = compared(index.evaluate(folder, measures=MEASURES), untrained)
    shutil.rmtree(kb)
    means = {leg: {str(m): v for m, v in untrained.means()[leg].items()} for leg in LEGS}
    about = {"set": name, "questions": len(untrained.query_ids), "cpu_seconds": seconds}
    return {**about, "legs": means, "searches": rows, "notes": notes}


def main() -> None:
    """Measure the sets named; a table each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--generate", type=int, default=1000)
    parser.add_argument("--without-people", action="store_true")
    options = parser.parse_args()
    for name in options.sets:
        result = measure(name, options.most, options.generate, people=not options.without_people)
        print(f"\n### {name}: {result['questions']} questions, {result['cpu_seconds']} cpu-s\n")
        lines = [[leg, *figures.values(), "", ""] for leg, figures in result["legs"].items()]
        for way, row in result["searches"].items():
            means = [figures[0] for figures in row["figures"].values()]
            gains = ["{:+.3f} [{:+.3f}, {:+.3f}]".format(*row[f"{key}"]) for key in list(row)[2:4]]
            lines.append([way, *means, *gains])
        print(table(["search", *MEASURES, "nDCG@10 to the best leg", "Hits@1 to BM25"], lines), flush=True)
        print("\n".join(f"- {note}" for note in result["notes"]["generated"]))
        write("zeroshot", result, part=name)


if __name__ == "__main__":
    main()
