"""Chances: do the router's and the search's probabilities mean what they say?

    python -m bench.chances [set …] [--train 400] [--test 400] [--searched 200]

On the compiled sets of ``python -m bench.quality`` (made where missing, not changed). *Leaf*: the chance of
the likeliest leaf against the share of the ten nearest chunks that lie there, on test questions, before and
after the temperature that ``learn`` chooses on training questions; besides, one temperature for all sets,
chosen on the training questions of the others. *First result*: the score of the first of ``--searched`` test
questions turned into a chance by a sigmoid that half of them fitted, the other half judged, as ``evaluate``
does. *Confidence*: what the set's learned index says of its first result, on all ``--test`` questions; it was
fitted by ``learn`` on training questions. Errors are expected calibration errors; intervals are bootstraps
over test questions.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from bench.continual import drawn, only
from fingerpost.config import Settings
from fingerpost.evaluate.calibration import kept, reliability
from fingerpost.evaluate.datasets import QuestionSet, load_beir
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering
from fingerpost.route import calibrate
from fingerpost.route import train as heads
from fingerpost.text import query as queries

SETS = ("spider-tables", "scifact", "cosqa", "squad4")
RESAMPLES = 500

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Leaves:
    """Scores of leaves and the share of the ten nearest chunks in each, [m, L] both."""

    scores: Floats
    labels: Floats


def main() -> None:
    """Measure the sets named, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--searched", type=int, default=200)
    options = parser.parse_args()
    made = {name: measured(name, options) for name in options.sets}
    own = {name: calibrate.temperature(train.scores, train.labels) for name, (train, _, _) in made.items()}
    rows = []
    for name, (_, test, first) in made.items():
        others = [own[other] for other in made if other != name]
        shared = float(np.exp(np.mean(np.log(others)))) if others else 1.0
        rows.append(
            {
                "set": name,
                "questions": len(test.scores),
                "leaves": test.scores.shape[1],
                "leaf before": bounded(test, 1.0),
                "leaf after": bounded(test, own[name]),
                "leaf, others' temperature": bounded(test, shared),
                "temperature": f"{own[name]:.2f}",
                **first,
            }
        )
    print(table(list(rows[0]), [list(row.values()) for row in rows]))
    write("chances", {"rows": rows})


def measured(name: str, options: argparse.Namespace) -> tuple[Leaves, Leaves, dict[str, str]]:
    """Leaves for training and for test questions, and what the first result's score promises."""
    kb, folder, random = CACHE / "quality" / name, data_folder() / name, np.random.default_rng(0)
    if not kb.exists():
        fingerpost.compile(folder, to=kb, settings=Settings()).close()
    splits = {split: load_beir(folder, split) for split in ("train", "test")}
    asked = {
        split: only(given, drawn(given, getattr(options, split), random)) for split, given in splits.items()
    }
    with fingerpost.open(kb, settings=Settings()) as index:
        train, test = (leaves(index._rooms, asked[split]) for split in ("train", "test"))
        some = only(splits["test"], list(asked["test"].queries)[: options.searched])
        found = index.evaluate(some, measures=("Hits@1",))
        told = reliability(found.promised, found.right)
    first = {"first result": "–", "Brier": "–"}
    if told is not None:
        first = {"first result": f"{told.error:.3f}", "Brier": f"{told.brier:.3f} of {told.base:.3f}"}
    return train, test, {**first, **confidence(kb.with_name(f"{name}-learned"), asked["test"])}


def confidence(kb: Path, asked: QuestionSet) -> dict[str, str]:
    """The error of what a learned index says of its first results, and for how many it says anything."""
    if not kb.exists():
        return {"confidence": "–", "its Brier": "–", "told": "–"}
    promised, right = [], []
    with fingerpost.open(kb, settings=Settings()) as index:
        for query_id, text in asked.queries.items():
            spans, trace = index.trace(text, k=1)
            if trace.confidence is not None and spans:
                promised.append(trace.confidence)
                right.append(float(asked.qrels[query_id].get(spans[0].doc_id, 0) > 0))
    said, came = np.array(promised), np.array(right)
    told, share = kept(said, came), f"{len(said)} of {len(asked.queries)}"
    if told is None:
        return {"confidence": "–", "its Brier": "–", "told": share}
    brier, base = float(np.mean((said - came) ** 2)), float(came.var())
    return {"confidence": f"{told.error:.3f}", "its Brier": f"{brier:.3f} of {base:.3f}", "told": share}


def leaves(rooms: Rooms, asked: QuestionSet) -> Leaves:
    """The router's scores, and where the nearest chunks lie."""
    snapshot, encoder = rooms.store.snapshot(), rooms.encoder
    router = rooms.epoch(snapshot).router
    assert encoder is not None
    assert router is not None
    keys = snapshot.keys()
    keys = keys[snapshot.leaf_of(keys) >= 0]
    offsets = np.searchsorted(snapshot.leaf_of(keys), np.arange(router.n_leaves + 1))
    parsed = [queries.parse(text) for text in asked.queries.values()]
    vectors = np.stack([encoder.encode_query(query.text).vector for query in parsed])
    voters = [snapshot.lexical(query, k=gathering.VOTERS)[0] for query in parsed]
    votes = np.stack([gathering.votes_of(snapshot, router, found) for found in voters])
    given = heads.examples(
        vectors, rooms.store.vectors(keys), offsets, docs=snapshot.doc_keys(keys), votes=votes
    )
    return Leaves(heads.batch_scores(router, given), given.labels)


def bounded(test: Leaves, temperature: float) -> str:
    """The calibration error with its interval."""

    def error(rows: NDArray[np.int64]) -> float:
        return calibrate.leaf_error(test.scores[rows] / temperature, test.labels[rows])

    count, random = len(test.scores), np.random.default_rng(0)
    again = [error(random.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(again, [0.025, 0.975])
    return f"{error(np.arange(count)):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
