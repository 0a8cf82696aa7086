"""The plan: how much of the second look can be left out, and what that costs.

    python -m bench.plan [--queries 500] [--mixed bench/cache/speed-77000]

Reads the indexes that ``bench.quality`` compiled, and with ``--mixed`` one that holds all sets beside each
other and other text (``bench.speed``'s): the test questions are then also asked of that one.

For questions of every set the ranking is made with a full second look, one that reads no words, and none,
untrained. The plan is fitted on training questions without their labels (does the first document change?),
printed as it stands in ``route/plan.py``, also fitted on all sets but one and tried on that one, and measured
on all sets together: the second look's work that is left out, and the nDCG@10 that is kept. Work is processor
time, each look timed on its own, after one that is not: what is read from disk is there for all three.
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
from fingerpost.index.search.ranking import Asked, Effort, Look
from fingerpost.route import plan
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4", "cosqa", "spider-tables")
CHANCES = (
    (0.05, 0.0),
    (0.1, 0.0),
    (0.0, 0.15),
    (0.05, 0.1),
    (0.08, 0.15),
    (0.1, 0.15),
    (0.12, 0.2),
    (0.15, 0.25),
)
"""Below the first no second look, else below the second no words read."""
MEASURE = measures.parse("nDCG@10")


@dataclass(frozen=True)
class Tried:
    """Queries of one set and split: features before [m, 5] and after late interaction [m, 7], whether words
    and both change the first [m, 2], nDCG@10 and processor seconds [m, 3] of the full look, late interaction
    alone and none.
    """

    before: np.ndarray
    after: np.ndarray
    changed: np.ndarray
    quality: np.ndarray
    seconds: np.ndarray


def tried(name: str, split: str, most: int, *, mixed: Path | None = None) -> Tried:
    """All three ways for a seeded draw of queries, asked of the set's own index or of a mixed one."""
    questions = load_beir(data_folder() / name, split)
    ids = sorted(questions.qrels)
    ids = [ids[at] for at in np.random.default_rng(0).permutation(len(ids))[:most]]
    rows: list[tuple[np.ndarray, np.ndarray, list[bool], list[float], list[float]]] = []
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
            changed = [runs[0][0][0] != run[0][0] for run in runs[1:]]
            rows.append((*features, changed, values, seconds))
    return Tried(*(np.array(column) for column in zip(*rows, strict=True)))


def _all(
    rooms: Rooms, snapshot: Snapshot, epoch: Epoch, text: str
) -> tuple[planning.Features, list[Look], list[float], Asked]:
    parsed = parsing.parse(text)
    assert rooms.encoder is not None
    asked = Asked(parsed, rooms.encoder.encode_query(parsed.text))
    once, route = gathering.route(rooms, snapshot, epoch, asked)
    found = gathering.gather(rooms, once, asked, gathering.Sight(snapshot, route, None)).candidates
    judges, whole = epoch.judges, planning.full(rooms.settings.rerank)
    ranking.look_again(snapshot, asked, found, judges, effort=whole)  # reads what is not in memory yet
    looks, seconds = [], []
    for effort in (whole, Effort(whole.depth, 0), ranking.NONE):
        began = time.process_time()
        looks.append(ranking.look_again(snapshot, asked, found, judges, effort=effort))
        seconds.append(time.process_time() - began)
    features = planning.before(found), planning.after(looks[0].candidates, judges)
    return features, looks, seconds, asked


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


def left_out(by: plan.Plan, given: list[Tried], below: tuple[float, float]) -> list[float]:
    """Shares of the queries whose words are not read and of those with no second look, share of the looks'
    work left out, and the nDCG@10 that is kept of the full one.
    """
    look = np.concatenate([[by.look.chance(row) for row in one.before] for one in given])
    words = np.concatenate([[by.words.chance(row) for row in one.after] for one in given])
    quality, seconds = (np.concatenate([getattr(one, of) for one in given]) for of in ("quality", "seconds"))
    way = np.where(look < below[0], 2, np.where(words < below[1], 1, 0))
    rows = np.arange(len(way))
    work = seconds[rows, way].sum() / seconds[:, 0].sum()
    kept = quality[rows, way].sum() / quality[:, 0].sum()
    return [float((way == 1).mean()), float((way == 2).mean()), float(1 - work), float(kept)]


def fitted(given: list[Tried]) -> plan.Plan:
    """The plan of these queries."""
    before, after, changed = (
        np.concatenate([getattr(one, of) for one in given]) for of in ("before", "after", "changed")
    )
    return plan.Plan(plan.fit(before, changed[:, 1]), plan.fit(after, changed[:, 0]))


def main() -> None:
    """Fit, try, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--mixed", type=Path)
    options = parser.parse_args()
    most = options.queries
    train = {name: tried(name, "train", most) for name in SETS}
    given = {"train": train, "test": {name: tried(name, "test", most) for name in SETS}}
    every = list(train.values())
    if options.mixed:
        for split in ("train", "test"):
            found = {name: tried(name, split, most, mixed=options.mixed) for name in SETS}
            given[f"{split}, one index"] = found
        every += list(given["train, one index"].values())
    by = fitted(every)
    usual = (Settings().rerank.skip, Settings().rerank.unread)
    print(by)
    rows: list[list[object]] = []
    for split, those in given.items():
        rows += [[f"all sets, {split}", *at, *left_out(by, list(those.values()), at)] for at in CHANCES]
    for name in SETS:
        others = fitted([train[other] for other in SETS if other != name])
        rows.append([f"{name}, not fitted on, test", *usual, *left_out(others, [given["test"][name]], usual)])
    header = ["questions", "none below", "unread below", "unread", "none", "work left out", "nDCG@10 kept"]
    print(table(header, rows))
    facts = {"look": by.look.named(plan.LOOK), "words": by.words.named(plan.WORDS)}
    write("plan", {**facts, "rows": [dict(zip(header, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main()
