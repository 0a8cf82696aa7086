"""The plan: how much of the second look can be left out, and what that costs.

    python -m bench.plan [--queries 500] [--mixed bench/cache/speed-77000]

Reads the indexes that ``bench.quality`` compiled, and with ``--mixed`` one that holds all sets beside each
other and other text (``bench.speed``'s): the test questions are then also asked of that one.

For questions of every set the ranking is made with a full second look, a short one and none, untrained. The
chooser is fitted on training questions without their labels (does the first document change?), printed as it
stands in ``route/plan.py``, also fitted on all sets but one and tried on that one, and measured on all sets
together: the second look's work that is left out, and the nDCG@10 that is kept, where it is left out below
one chance and short below another. Work is processor time, each look timed on its own.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import measures
from fingerpost.evaluate.datasets import load_beir
from fingerpost.index.epoch import Epoch, Judges
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import gathering, listing, planning, ranking
from fingerpost.index.search.ranking import Asked, Look
from fingerpost.route import plan
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4", "cosqa", "spider-tables")
CHANCES = (
    (0.05, 0.0),
    (0.15, 0.0),
    (0.0, 1.1),
    (0.03, 0.4),
    (0.03, 0.6),
    (0.05, 0.4),
    (0.05, 0.6),
    (0.08, 0.4),
)
"""Below the first no second look, below the second a short one."""
MEASURE = measures.parse("nDCG@10")


@dataclass(frozen=True)
class Tried:
    """Queries of one set and split: features [m, 9], whether the first changed [m], nDCG@10 [m, 3] and
    processor seconds [m, 3] of the full look, the short one and none.
    """

    features: np.ndarray
    changed: np.ndarray
    quality: np.ndarray
    seconds: np.ndarray


def tried(name: str, split: str, most: int, *, mixed: Path | None = None) -> Tried:
    """All three ways for a seeded draw of queries, asked of the set's own index or of a mixed one."""
    questions = load_beir(data_folder() / name, split)
    ids = sorted(questions.qrels)
    ids = [ids[at] for at in np.random.default_rng(0).permutation(len(ids))[:most]]
    rows: list[tuple[np.ndarray, bool, list[float], list[float]]] = []
    with fingerpost.open(mixed or CACHE / "quality" / name, settings=Settings()) as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        known = rooms.epoch(snapshot)
        epoch = Epoch(known.router, Judges(known.judges.codec), known.addresses)
        for query_id in ids:
            grades = questions.qrels[query_id]
            features, looks, seconds, asked = _all(rooms, snapshot, epoch, questions.queries[query_id])
            runs = [_run(snapshot, asked, look, epoch) for look in looks]
            own = [_of_set(run, name) if mixed else dict(run) for run in runs]
            values = [measures.score(MEASURE, run, grades)[0] for run in own]
            rows.append((features, runs[0][0][0] != runs[2][0][0], values, seconds))
    return Tried(*(np.array(column) for column in zip(*rows, strict=True)))


def _all(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, text: str
) -> tuple[np.ndarray, list[Look], list[float], Asked]:
    parsed = parsing.parse(text)
    assert rooms.encoder is not None
    asked = Asked(parsed, rooms.encoder.encode_query(parsed.text))
    once, route = gathering.route(rooms, snapshot, epoch, asked)
    found = gathering.gather(rooms, once, asked, gathering.Sight(snapshot, route, None)).candidates
    looks, seconds = [], []
    for effort in (planning.full(rooms.settings.rerank), ranking.SHORT, ranking.NONE):
        began = time.process_time()
        looks.append(ranking.look_again(snapshot, asked, found, epoch.judges, effort=effort))
        seconds.append(time.process_time() - began)
    return planning.features(asked, found), looks, seconds, asked


def _run(snapshot: Snapshot, asked: Asked, look: Look, epoch: Epoch) -> listing.Run:
    ranked = ranking.rank(snapshot, asked, look, epoch.judges)
    keys, scores = ranked.candidates.keys[ranked.order], ranked.scores[ranked.order].astype(np.float32)
    return listing.by_document(snapshot, keys, scores, k=100)


def _of_set(run: listing.Run, name: str) -> dict[str, float]:
    """A run over passages ``set/document#number`` as one over documents, the set's by their own ids."""
    best: dict[str, float] = {}
    for passage, score in run:
        best.setdefault(passage.rsplit("#", 1)[0].removeprefix(f"{name}/"), score)
    return best


def left_out(chooser: plan.Chooser, given: list[Tried], below: tuple[float, float]) -> list[float]:
    """Shares of the queries with a short look and with none, share of the looks' work left out, and the
    nDCG@10 that is kept of the full one.
    """
    chances = np.concatenate([[chooser.chance(row) for row in one.features] for one in given])
    quality, seconds = (np.concatenate([getattr(one, of) for one in given]) for of in ("quality", "seconds"))
    way = np.where(chances < below[0], 2, np.where(chances < below[1], 1, 0))
    rows = np.arange(len(way))
    work = seconds[rows, way].sum() / seconds[:, 0].sum()
    kept = quality[rows, way].sum() / quality[:, 0].sum()
    return [float((way == 1).mean()), float((way == 2).mean()), float(1 - work), float(kept)]


def fitted(given: list[Tried]) -> plan.Chooser:
    """The chooser of these queries."""
    return plan.fit(
        np.concatenate([one.features for one in given]), np.concatenate([one.changed for one in given])
    )


def main() -> None:
    """Fit, try, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--mixed", type=Path)
    options = parser.parse_args()
    most = options.queries
    train = {name: tried(name, "train", most) for name in SETS}
    test = {name: tried(name, "test", most) for name in SETS}
    chooser = fitted(list(train.values()))
    settings = Settings().rerank
    usual = (settings.skip, settings.short)
    print(chooser)
    rows: list[list[object]] = []
    splits = {"train": train, "test": test}
    if options.mixed:
        splits["test, one index"] = {name: tried(name, "test", most, mixed=options.mixed) for name in SETS}
    for split, given in splits.items():
        rows += [[f"all sets, {split}", *at, *left_out(chooser, list(given.values()), at)] for at in CHANCES]
    for name in SETS:
        others = fitted([train[other] for other in SETS if other != name])
        rows.append([f"{name}, not fitted on, test", *usual, *left_out(others, [test[name]], usual)])
    header = ["questions", "none below", "short below", "short", "none", "work left out", "nDCG@10 kept"]
    print(table(header, rows))
    facts = {"weights": dict(zip(plan.NAMES, chooser.weights, strict=True)), "bias": chooser.bias}
    write("plan", {**facts, "rows": [dict(zip(header, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main()
