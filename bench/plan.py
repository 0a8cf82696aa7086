"""The plan: how much of the second look can be left out, and what that costs.

    python -m bench.plan [--queries 500]

Reads the indexes that ``bench.quality`` compiled. For questions of every set the ranking is made with and
without late interaction and words, untrained. The chooser is fitted on training questions without their
labels (does the first document change?), printed as it stands in ``route/plan.py``, also fitted on all sets
but one and tried on that one, and measured on test questions of all sets together: nDCG@10 where the second
look is left out below each chance.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import measures
from fingerpost.evaluate.datasets import load_beir
from fingerpost.index import planning, ranking, searching
from fingerpost.index.ranking import Asked, Judges, Look
from fingerpost.index.rooms import Epoch, Rooms
from fingerpost.route import plan
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4", "cosqa", "spider-tables")
CHANCES = (0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3)
MEASURE = measures.parse("nDCG@10")


@dataclass(frozen=True)
class Tried:
    """Queries of one set and split: features [m, 9], whether the first changed [m], nDCG@10 both ways [m]."""

    features: np.ndarray
    changed: np.ndarray
    full: np.ndarray
    cheap: np.ndarray


def tried(name: str, split: str, most: int) -> Tried:
    """Both ways for a seeded draw of queries."""
    questions = load_beir(data_folder() / name, split)
    ids = sorted(questions.qrels)
    ids = [ids[at] for at in np.random.default_rng(0).permutation(len(ids))[:most]]
    rows: list[tuple[np.ndarray, bool, float, float]] = []
    with fingerpost.open(CACHE / "quality" / name, settings=Settings()) as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        known = rooms.epoch(snapshot)
        epoch = Epoch(known.router, Judges(known.judges.codec), known.addresses)
        for query_id in ids:
            grades = questions.qrels[query_id]
            features, looks, asked = _both(rooms, snapshot, epoch, questions.queries[query_id])
            runs = [_run(snapshot, asked, look, epoch) for look in looks]
            values = [measures.score(MEASURE, dict(run), grades)[0] for run in runs]
            rows.append((features, runs[0][0][0] != runs[1][0][0], *values))
    return Tried(*(np.array(column) for column in zip(*rows, strict=True)))


def _both(rooms: Rooms, snapshot: Snapshot, epoch: Epoch, text: str) -> tuple[np.ndarray, list[Look], Asked]:
    parsed = parsing.parse(text)
    assert rooms.encoder is not None
    asked = Asked(parsed, rooms.encoder.encode_query(parsed.text))
    once, route = searching.route(rooms, snapshot, epoch, asked)
    found = searching.gather(rooms, once, asked, searching.Sight(snapshot, route, None)).candidates
    full = ranking.look_again(snapshot, asked, found, epoch.judges, settings=rooms.settings.rerank)
    return planning.features(asked, found), [full, ranking.glance(asked, found)], asked


def _run(snapshot: Snapshot, asked: Asked, look: Look, epoch: Epoch) -> searching.Run:
    ranked = ranking.rank(snapshot, asked, look, epoch.judges)
    keys, scores = ranked.candidates.keys[ranked.order], ranked.scores[ranked.order].astype(np.float32)
    return searching.by_document(snapshot, keys, scores, k=100)


def left_out(chooser: plan.Chooser, given: list[Tried], chance: float) -> tuple[float, float]:
    """Share of the queries without a second look, and the nDCG@10 that is kept of the full one."""
    skips = [np.array([chooser.chance(row) < chance for row in one.features]) for one in given]
    kept = np.concatenate(
        [np.where(skip, one.cheap, one.full) for skip, one in zip(skips, given, strict=True)]
    )
    full = np.concatenate([one.full for one in given])
    return float(np.concatenate(skips).mean()), float(kept.mean() / full.mean())


def fitted(given: list[Tried]) -> plan.Chooser:
    """The chooser of these queries."""
    return plan.fit(
        np.concatenate([one.features for one in given]), np.concatenate([one.changed for one in given])
    )


def main() -> None:
    """Fit, try, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=500)
    most = parser.parse_args().queries
    train = {name: tried(name, "train", most) for name in SETS}
    test = {name: tried(name, "test", most) for name in SETS}
    chooser = fitted(list(train.values()))
    print(chooser)
    rows: list[list[object]] = []
    for chance in CHANCES:
        rows.append(["all sets, test", chance, *left_out(chooser, list(test.values()), chance)])
    for name in SETS:
        others = fitted([train[other] for other in SETS if other != name])
        rows += [
            [f"{name}, not fitted on, test", at, *left_out(others, [test[name]], at)] for at in (0.05, 0.1)
        ]
    header = ["questions", "chance", "share without second look", "nDCG@10 kept"]
    print(table(header, rows))
    facts = {"weights": dict(zip(plan.NAMES, chooser.weights, strict=True)), "bias": chooser.bias}
    write("plan", {**facts, "rows": [dict(zip(header, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main()
