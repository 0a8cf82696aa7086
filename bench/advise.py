"""Is the advice right? On one half of the test questions it chooses a stack; the other half is the judge.

    python -m bench.advise [scifact spider-tables cosqa squad4] [--most 500]

Each set's index (from ``python -m bench.quality``) is copied; advice is taken before and after it learns from
the training split. The advice is wrong where another stack is significantly better than the chosen one on
held-out questions (nDCG@10, paired randomisation test, Holm-corrected, p < 0.05). At most ``--most``
questions a half are taken, by a seeded draw.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate.advise import ALPHA, Stack, p_values
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index import Index

SETS = ("scifact", "spider-tables", "cosqa", "squad4")
STACKS = ("lexical", "dense", "hybrid", "search", "learned")


def halves(questions: QuestionSet, most: int) -> tuple[QuestionSet, QuestionSet]:
    """Two draws of questions that share none."""
    order = np.random.default_rng(0).permutation(list(questions.queries)).tolist()
    size = min(most, len(order) // 2)
    return some(questions, order[:size]), some(questions, order[size : 2 * size])


def some(questions: QuestionSet, ids: list[str]) -> QuestionSet:
    """A part of the questions."""
    queries = {each: questions.queries[each] for each in ids}
    return replace(questions, queries=queries, qrels={each: questions.qrels[each] for each in ids})


def judged(index: Index, parts: tuple[QuestionSet, QuestionSet]) -> dict[str, object]:
    """What was chosen, and which stacks beat that on the held-out half."""
    advice, held = index.advise(parts[0]), index.advise(parts[1])
    p = p_values(held.stacks, advice.stack)
    means = {stack.name: mean(stack) for stack in held.stacks}
    better = [name for name in p if p[name] < ALPHA and means[name] > means[advice.stack]]
    worse = [name for name in p if p[name] < ALPHA and means[name] < means[advice.stack]]
    return {
        "chosen": advice.stack,
        "advising": {stack.name: mean(stack) for stack in advice.stacks},
        "held_out": means,
        "ms": {stack.name: stack.ms for stack in held.stacks},
        "p": p,
        "significantly_better": better,
        "significantly_worse": worse,
        "would_change": list(advice.would_change),
    }


def mean(stack: Stack) -> float:
    """Mean nDCG@10."""
    return float(stack.values.mean())


def main() -> None:
    """Advise, judge, learn, advise and judge again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--most", type=int, default=500)
    options = parser.parse_args()
    rows: list[list[object]] = []
    result: dict[str, object] = {}
    for name in options.sets:
        own = CACHE / "advise" / name
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(CACHE / "quality" / name, own)
        parts = halves(load_beir(data_folder() / name), options.most)
        settings = Settings.model_validate({"compile": {"threads": 1}})
        with fingerpost.open(own, write=True, settings=settings) as index:
            for state in ("untrained", "learned"):
                if state == "learned":
                    index.learn(data_folder() / name)
                told = judged(index, parts)
                result[f"{name}, {state}"] = {"questions": len(parts[0].queries), **told}
                held = told["held_out"]
                assert isinstance(held, dict)
                figures = [held.get(each, "") for each in STACKS]
                beaten = ", ".join(told["significantly_better"]) or "none"  # type: ignore[arg-type]
                rows.append([name, state, len(parts[1].queries), *figures, told["chosen"], beaten])
                print(table(["set", "index", "held out", *STACKS, "chosen", "beaten by"], rows), flush=True)
        write("advise", {"most": options.most, "sets": result})


if __name__ == "__main__":
    main()
