"""Replays: a documentation's dated history, event by event, and whether the index equals one compiled anew.

    python -m bench.history [opensearch tldr-english] [--every 1000] [--queries 200]

Each event writes or deletes a file and calls ``index.update`` with its path, as a user's hook would. After
every thousand the same folder is compiled from scratch, and the two must hold the same documents, the same
chunk ids with the same text, and give the same first ten results for 200 queries of words that stand in them
in the same order (equal scores in any). Words only: no encoder. Folds come of themselves
(``store.fold_after``); the index that is compared is folded first, as the new one is.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import fingerpost
from bench.common import data_folder, table, write
from fingerpost.index import building, searching
from fingerpost.index.rooms import silent
from fingerpost.index.searching import Request

WORDS_ONLY = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})


def main() -> None:
    """Replay, compare, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["opensearch", "tldr-english"])
    parser.add_argument("--every", type=int, default=1_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--most", type=int, help="stop after so many events")
    options = parser.parse_args()
    for name in options.names:
        happened = islice(events(name), options.most)
        found = replay(happened, every=options.every, queries=options.queries)
        shown = [[row[column] for column in COLUMNS] for row in found["checks"]]
        print(f"\n{name}\n{table(COLUMNS, shown)}", flush=True)
        write("history", found, part=name)


COLUMNS = (
    *("events", "documents", "chunks", "same documents", "same chunks"),
    *("same top 10", "with equal scores", "queries"),
)


def events(name: str) -> Iterator[dict[str, str]]:
    """What happened to the pages, in order of time."""
    path = data_folder() / "docs-history" / name / "events.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def replay(happened: Iterator[dict[str, str]], *, every: int, queries: int) -> dict[str, Any]:
    """Every event as an update of its own, and a comparison after ``every`` of them and at the end."""
    choice, checks, took = random.Random(0), [], []
    with tempfile.TemporaryDirectory() as place:
        docs, kb = Path(place) / "docs", Path(place) / "kb"
        docs.mkdir()
        (docs / "placeholder.txt").write_text("nothing yet")
        with fingerpost.compile(docs, to=kb, settings=WORDS_ONLY) as grown:
            number = 0
            for number, event in enumerate(happened, start=1):
                began = time.process_time()
                apply(grown, docs, event)
                took.append(time.process_time() - began)
                if number % every == 0:
                    checks.append(check(grown, docs, number, choice, queries))
            if number % every:
                checks.append(check(grown, docs, number, choice, queries))
    asked = sum(row["queries"] for row in checks)
    same = sum(row["same top 10"] for row in checks)
    took.sort()
    return {
        "checks": checks,
        "events": number,
        "same_documents": all(row["same documents"] for row in checks),
        "same_chunks": all(row["same chunks"] for row in checks),
        "same_top_10": same,
        "queries": asked,
        "share": same / asked if asked else None,
        "cpu_ms_an_event": {"p50": 1000 * took[len(took) // 2], "p95": 1000 * took[len(took) * 95 // 100]},
    }


def apply(grown: fingerpost.Index, docs: Path, event: dict[str, str]) -> None:
    """One event: the file, then the index."""
    path = docs / event["_id"]
    if event["op"] == "delete":
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(event["text"], encoding="utf-8")
    grown.update(path)


def check(
    grown: fingerpost.Index, docs: Path, number: int, choice: random.Random, queries: int
) -> dict[str, Any]:
    """The grown index against one compiled from what stands now."""
    building.fold(grown._rooms, silent)
    with (
        tempfile.TemporaryDirectory() as place,
        fingerpost.compile(docs, to=Path(place) / "kb", settings=WORDS_ONLY) as new,
    ):
        one, two = state(grown), state(new)
        texts = sorted(two.values())
        asked = [question(choice, choice.choice(texts)) for _ in range(queries)]
        pairs = [(ranking(grown, text), ranking(new, text)) for text in asked if text]
        same = sum([name for name, _ in mine] == [name for name, _ in theirs] for mine, theirs in pairs)
        row = {
            "events": number,
            "documents": grown.status()["documents"],
            "chunks": len(one),
            "same documents": documents(grown) == documents(new),
            "same chunks": one == two,
            "same top 10": same,
            "with equal scores": sum(mine == theirs for mine, theirs in pairs),
            "queries": len(pairs),
        }
    print(row, flush=True)
    return row


def question(choice: random.Random, text: str) -> str:
    """A few words of a chunk."""
    words = [word for word in text.split() if word.isalnum()]
    return " ".join(choice.sample(words, min(5, len(words))))


def documents(index: fingerpost.Index) -> set[str]:
    """Ids of what stands."""
    return {doc_id for doc_id, _, _ in index._rooms.store.desk.standing()}


def state(index: fingerpost.Index) -> dict[str, str]:
    """Text by chunk id."""
    snapshot = index._rooms.store.snapshot()
    return {each.chunk_id: each.text for each in snapshot.chunks(snapshot.keys())}


def ranking(index: fingerpost.Index, text: str) -> list[tuple[str, float]]:
    """The first ten chunks by score, equal scores in the order of their ids."""
    found = searching.find(index._rooms, Request(text))
    names = [each.chunk_id for each in found.snapshot.chunks(found.keys)]
    scores = [round(float(score), 4) for score in found.scores]
    return sorted(zip(names, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[:10]


if __name__ == "__main__":
    main()
