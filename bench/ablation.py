"""Each part of the search switched off, one at a time: what it gains, what it costs.

    python -m bench.ablation [set …] [--most 500]

Works on copies of the indexes of ``python -m bench.quality``, untrained and after ``learn``. A part is off
when its leg brings and scores nothing or its weight is zero; the forest is not trained anew without it. Gains
are "with" less "without" over the same questions, with a bootstrap interval. Milliseconds are the median of
the processor time of a whole search, encoder included and spans left out: a part costs the difference to
"all". Bytes a chunk are those of the files that only this part needs. Below 50,000 chunks there is no
neighbour graph: what the hop gains is in bench/router.py.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, table, write
from bench.quality import sampled
from fingerpost.config import Settings
from fingerpost.evaluate import measures, significance
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.epoch import Epoch
from fingerpost.index.facade import Index
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, listing, ranking, searching
from fingerpost.index.search.found import Request
from fingerpost.records import Plan
from fingerpost.rerank import exact
from fingerpost.rerank.forest import Forest
from fingerpost.retrieve import fuse

SETS = ("scifact", "squad4", "spider-tables", "cosqa")
MEASURES = ("nDCG@10", "Hits@1")
FILES = {
    "lexical": ("lexical",),
    "dense": ("vectors.f16", "vectors.i8", "vectors.scale"),
    "late interaction": ("tokens.u8", "tokens.offsets.npy", "artifacts/codec.safetensors"),
    "memory": ("artifacts/memory.safetensors",),
    "forest": ("artifacts/forest.safetensors",),
    "routed, 5 %": ("artifacts/router.safetensors",),
}
NO_WORDS = dict.fromkeys(ranking.WORD_LEGS, 0.0)

Off = Callable[[ExitStack], object]


def weights(**changed: float) -> Off:
    """Weights of the untrained sums."""

    def off(stack: ExitStack) -> None:
        stack.enter_context(patch.dict(fuse.BALANCED_WEIGHTS, changed))
        stack.enter_context(patch.dict(fuse.DEFAULT_WEIGHTS, changed))

    return off


def legs(*kept: str) -> Off:
    """A plan with these legs alone, and the sums without the others."""

    def off(stack: ExitStack) -> None:
        plan = Plan(legs=kept, reason="ablation")
        stack.enter_context(patch.object(gathering, "plan_for", lambda *_: plan))
        weights(**{leg: 0.0 for leg in ("lexical", "dense") if leg not in kept})(stack)

    return off


def judges(**changed: Any) -> Off:
    """An epoch without a judge."""

    def off(stack: ExitStack) -> None:
        whole = Rooms.current

        def current(rooms: Rooms, snapshot: Any) -> Epoch:
            epoch = whole(rooms, snapshot)
            return replace(epoch, judges=replace(epoch.judges, **changed))

        stack.enter_context(patch.object(Rooms, "current", current))

    return off


def treeless(stack: ExitStack) -> None:
    """The straight line of the learned fusion alone."""
    stack.enter_context(patch.object(Forest, "predict", lambda forest, rows: forest.line.scores(rows)))


def unbalanced(stack: ExitStack) -> None:
    """Fixed weights, whatever the legs are sure of."""
    fixed = {**fuse.BALANCED_WEIGHTS, "dense": 0.5}
    stack.enter_context(
        patch.object(fuse, "balanced", lambda scores, *_, **__: fuse.standardised(scores, fixed))
    )


def unlifted(stack: ExitStack) -> None:
    """No tiers of exact matches."""
    kept = staticmethod(lambda scores, _: (np.asarray(scores, np.float64), np.zeros(len(scores))))
    stack.enter_context(patch.object(exact, "lift", kept))


SETTINGS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "late interaction": {"rerank": {"depth": 0}},
    "plan": {"rerank": {"skip": 0.0, "short": 0.0}},
    "routed, 5 %": {"route": {"full_below": 0}},
}
UNTRAINED: Mapping[str, Off] = {
    "all": lambda _: None,
    "lexical": legs("dense"),
    "dense": legs("lexical"),
    "late interaction": lambda _: None,
    "rare neighbouring words": weights(maxsim_pairs=0.0),
    "order, nearness, title": weights(**NO_WORDS),
    "balanced weights": unbalanced,
    "exact tier": unlifted,
    "plan": lambda _: None,
    "routed, 5 %": lambda _: None,
}
LEARNED: Mapping[str, Off] = {
    "all": lambda _: None,
    "memory": judges(memory=None),
    "forest": judges(forest=None),
    "trees": treeless,
    "plan": lambda _: None,
    "late interaction": lambda _: None,
    "lexical": legs("dense"),
    "dense": legs("lexical"),
}


@contextmanager
def without(index: Index, part: str, off: Off) -> Iterator[None]:
    """The index with a part switched off."""
    changes = SETTINGS.get(part, {})
    before = index._rooms.settings
    sections = {name: getattr(before, name).model_copy(update=dict(keys)) for name, keys in changes.items()}
    with ExitStack() as stack:
        off(stack)
        index._rooms.settings = before.model_copy(update=sections)
        stack.callback(setattr, index._rooms, "settings", before)
        yield


def run(index: Index, questions: QuestionSet) -> tuple[NDArray[np.float64], float]:
    """Values [n, measures], and the median of processor milliseconds."""
    parsed, values, ms = measures.parse(" ".join(MEASURES)), [], []
    for query_id, text in questions.queries.items():
        began = time.process_time()
        found = searching.find(index._rooms, Request(text))
        ms.append(1000 * (time.process_time() - began))
        best = listing.by_document(found.snapshot, found.keys, found.scores, k=100)
        values.append(measures.score(parsed, dict(best), questions.qrels[query_id]))
    return np.array(values), float(np.median(ms))


def size(kb: Path, part: str, chunks: int) -> int:
    """Bytes a chunk of the files that a part needs, of the newest generation."""
    newest = max(kb.glob("gen-*"))
    named = [newest / name for name in FILES.get(part, ())]
    files = [file for path in named for file in (path.rglob("*") if path.is_dir() else [path])]
    return round(sum(file.stat().st_size for file in files if file.is_file()) / chunks)


def stack_rows(
    index: Index, kb: Path, questions: QuestionSet, parts: Mapping[str, Off]
) -> list[dict[str, Any]]:
    """One stack: all parts, then each off."""
    rows: list[dict[str, Any]] = []
    whole = np.empty(0)
    for part, off in parts.items():
        with without(index, part, off):
            values, ms = run(index, questions)
        whole = values if part == "all" else whole
        low, high = significance.interval(whole - values)
        gains = dict(zip(MEASURES, (whole - values).mean(axis=0), strict=True))
        rows.append(
            {
                "off": part,
                **{
                    name: round(float(mean), 4)
                    for name, mean in zip(MEASURES, values.mean(axis=0), strict=True)
                },
                "gain": {
                    name: [round(float(x), 4) for x in (gains[name], low[at], high[at])]
                    for at, name in enumerate(MEASURES)
                },
                "cpu_ms": round(ms, 1),
                "bytes_a_chunk": size(kb, part, int(index.status()["chunks"])),
            }
        )
    return rows


def measure(name: str, most: int) -> dict[str, Any]:
    """One set, untrained and learned."""
    pairs, copy = sampled(name, most), CACHE / "ablation" / name
    questions = load_beir(pairs)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(CACHE / "quality" / name, copy)
    with fingerpost.open(copy, write=True, settings=Settings()) as index:
        untrained = stack_rows(index, copy, questions, UNTRAINED)
        index.learn(pairs)
        learned = stack_rows(index, copy, questions, LEARNED)
    shutil.rmtree(copy)
    return {"set": name, "questions": len(questions.queries), "untrained": untrained, "learned": learned}


def main() -> None:
    """Measure the sets named; a table each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--most", type=int, default=500)
    options = parser.parse_args()
    for name in options.sets:
        result = measure(name, options.most)
        for stack in ("untrained", "learned"):
            print(f"\n### {name}, {stack}: {result['questions']} questions\n")
            rows = [
                [row["off"], *(row[m] for m in MEASURES)]
                + ["{:+.3f} [{:+.3f}, {:+.3f}]".format(*row["gain"][m]) for m in MEASURES]
                + [row["cpu_ms"], row["bytes_a_chunk"] or ""]
                for row in result[stack]
            ]
            print(
                table(
                    ["off", *MEASURES, *(f"gain of it, {m}" for m in MEASURES), "cpu ms", "bytes a chunk"],
                    rows,
                )
            )
        write("ablation", result, part=name)


if __name__ == "__main__":
    main()
