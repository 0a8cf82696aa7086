"""Newcomers: are documents that came by updates found as those are that the index was compiled from?

    python -m bench.newcomers [tldr-english] [--old 2018-01-01] [--new 2019-01-01] [--questions 250]

A documentation as it stood on the old date is compiled, with small leaves and routing from the first chunk
on; everything that happened until the new date comes by ``update``, folded, and nothing is trained. Questions
are made of a document's own words, which are withheld from it (``compiler.questions``), one a document: of
pages that were there on the old date, and of pages added since. The rank is that of the page's best chunk in
the whole search. Asked three times: routed; with every leaf opened; and, as a control, routed in an index
compiled from scratch on the new date. Intervals are bootstraps over questions.
"""

from __future__ import annotations

import argparse
import shutil
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, table, write
from bench.history import apply, events
from fingerpost.compiler import questions
from fingerpost.evaluate.significance import interval
from fingerpost.index.build import building
from fingerpost.index.learn import generated
from fingerpost.index.progress import silent
from fingerpost.index.rooms import Rooms
from fingerpost.retrieve import fuse
from fingerpost.store.snapshot import Snapshot

CUTS = (1, 10, 100)
ROUTE = {"leaf_chunks": 32, "budget": 0.1}
ROUTED = fingerpost.Settings.model_validate({"route": {**ROUTE, "full_below": 0}})
FULL = fingerpost.Settings.model_validate({"route": {**ROUTE, "full_below": 1_000_000}})
TOGETHER = 50
LEFT_OUT = ("words", "title")
"""Kinds of question: words that stay in the page, and what tldr's page is named by."""

Ranks = NDArray[np.float64]


def main() -> None:
    """Compile, update, ask, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?", default="tldr-english")
    parser.add_argument("--old", default="2018-01-01")
    parser.add_argument("--new", default="2019-01-01")
    parser.add_argument("--questions", type=int, default=250)
    options = parser.parse_args()
    place = CACHE / "newcomers"
    shutil.rmtree(place.resolve(), ignore_errors=True)
    groups = grow(options.name, options.old, options.new)
    asked: dict[str, Any] = {"old_date": options.old, "new_date": options.new, "route": ROUTE}
    anew = place / "anew"
    fingerpost.compile(place / "docs", to=anew, settings=ROUTED).close()
    ways = {"routed": (place / "kb", ROUTED), "full": (place / "kb", FULL), "anew, routed": (anew, ROUTED)}
    found: dict[str, dict[str, Ranks]] = {}
    for how, (folder, settings) in ways.items():
        with fingerpost.open(folder, settings=settings) as index:
            count = options.questions
            found[how] = {name: ranks(index._rooms, ids, count) for name, ids in groups.items()}
        print(how, flush=True)
        asked[how] = compared(found[how])
    asked["new in the grown index - new in the one compiled anew"] = paired(
        found["routed"]["new"], found["anew, routed"]["new"]
    )
    write("newcomers", asked, part=options.name)


def grow(name: str, old: str, new: str) -> dict[str, list[str]]:
    """Make the index; the ids of pages that stood on both dates, and of those that came since."""
    place = CACHE / "newcomers"
    docs, happened = place / "docs", [event for event in events(name) if event["date"] <= new]
    docs.mkdir(parents=True)
    first = [event for event in happened if event["date"] <= old]
    for event in first:
        path = docs / event["_id"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if event["op"] == "delete" else path.write_text(event["text"], "utf-8")
    with fingerpost.compile(docs, to=place / "kb", settings=ROUTED) as index:
        before = documents(index._rooms.store.snapshot())
        later = happened[len(first) :]
        for at in range(0, len(later), TOGETHER):
            apply(index, docs, later[at : at + TOGETHER])
        building.fold(index._rooms, silent)
        stands = documents(index._rooms.store.snapshot())
        print(f"{len(before)} pages, then {len(later)} events: {len(stands)} pages", flush=True)
    return {"old": sorted(stands & before), "new": sorted(stands - before)}


def documents(snapshot: Snapshot) -> set[str]:
    """The ids of all documents."""
    return {about.doc_id for about in snapshot.about(np.unique(snapshot.doc_keys(snapshot.keys())).tolist())}


def ranks(rooms: Rooms, ids: Sequence[str], count: int) -> Ranks:
    """The rank of each question's page [count]; infinite where no leg brought it."""
    random, snapshot, found = np.random.default_rng(0), rooms.store.snapshot(), list[float]()
    for doc_id in random.permutation(np.array(ids, dtype=object)).tolist():
        key = snapshot.doc_key(doc_id)
        made = question(snapshot, key, doc_id) if len(found) < count else None
        if made is not None:
            found.append(rank(rooms, snapshot, key, made))
    return np.array(found)


def question(snapshot: Snapshot, key: int, doc_id: str) -> questions.Made | None:
    """A question about a page, the same whichever index holds it and whatever was asked before."""
    random = np.random.default_rng([0, zlib.crc32(doc_id.encode())])
    chunks = snapshot.chunks(snapshot.chunk_keys(np.array([key])))
    chunks = sorted(chunks, key=lambda chunk: chunk.ordinal)
    made = [one for one in questions.questions(chunks, random) if one.kind not in LEFT_OUT]
    return made[int(random.integers(len(made)))] if made else None


def rank(rooms: Rooms, snapshot: Snapshot, key: int, made: questions.Made) -> float:
    """The rank of the page's best chunk for one question."""
    example = generated.replayed(rooms, snapshot, key, made)
    if example is None:
        return float("inf")
    scores, right = fuse.balanced(example.legs).scores, example.right
    return 1.0 + float((scores[~right] > scores[right].max()).sum())


def compared(found: Mapping[str, Ranks]) -> dict[str, Any]:
    """Recall of both groups, and new minus old with its interval."""
    result: dict[str, Any] = {"questions": {name: len(values) for name, values in found.items()}}
    rows = []
    for cut in CUTS:
        old, new = (np.asarray(found[name] <= cut, np.float64) for name in ("old", "new"))
        spread = [interval(values[:, None]) for values in (old, new)]
        random = np.random.default_rng(0)
        drawn = [random.choice(values, (2_000, len(values))).mean(axis=1) for values in (old, new)]
        low, high = np.percentile(drawn[1] - drawn[0], [2.5, 97.5])
        result[f"R@{cut}"] = {
            "old": [float(old.mean()), *spread[0][:, 0].tolist()],
            "new": [float(new.mean()), *spread[1][:, 0].tolist()],
            "new - old": [float(new.mean() - old.mean()), float(low), float(high)],
        }
        rows.append([f"R@{cut}", f"{old.mean():.3f}", f"{new.mean():.3f}", f"{low:+.3f} … {high:+.3f}"])
    print(table(("measure", "old", "new", "difference"), rows), flush=True)
    return result


def paired(first: Ranks, second: Ranks) -> dict[str, list[float]]:
    """Recall on the same questions, first minus second, with its interval."""
    found = {}
    for cut in CUTS:
        gains = (first <= cut).astype(np.float64) - (second <= cut)
        found[f"R@{cut}"] = [float(gains.mean()), *interval(gains[:, None])[:, 0].tolist()]
    print({name: [round(value, 4) for value in values] for name, values in found.items()}, flush=True)
    return found


if __name__ == "__main__":
    main()
