"""Replays: a documentation's dated history, event by event, and whether the index equals one compiled anew.

    python -m bench.history [opensearch tldr-english] [--every 1000] [--queries 200] [--together 1]

Each event writes or deletes a file, and ``index.update`` is called with its path, as a user's hook would, or
with those of several events ``--together``, as after a commit (no file is written twice on one date). After
every thousand the same folder is compiled from scratch, and the two must hold the same documents, the same
chunk ids with the same text, and give the same first ten results in the same order for 200 queries of words
that stand in them, with the same scores to the last bit. Words only: no encoder. Folds come of themselves
(``store.fold_after``); the index that is compared is folded first, as the new one is. The result is written
after each comparison, and the files of a run stay in ``bench/cache/history``: one that was stopped goes on
from its last comparison.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.index.search import searching
from fingerpost.index.search.found import Request

WORDS_ONLY = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})


def main() -> None:
    """Replay, compare, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["opensearch", "tldr-english"])
    parser.add_argument("--every", type=int, default=1_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--together", type=int, default=1, help="events an update")
    parser.add_argument("--most", type=int, help="stop after so many events")
    options = parser.parse_args()
    for name in options.names:
        happened = list(islice(events(name), options.most))
        dials = Dials(options.every, options.queries, options.together)
        run = Run(CACHE / "history" / f"{name}-{len(happened)}-{dials.every}-{dials.together}", dials)
        for found in run.replay(happened):
            write("history", found, part=name)
        shown = [[row[column] for column in COLUMNS] for row in run.checks]
        print(f"\n{name}\n{table(COLUMNS, shown)}", flush=True)


COLUMNS = (
    *("events", "documents", "chunks", "same documents", "same chunks"),
    *("same top 10", "with the same scores", "queries"),
)


def events(name: str) -> Iterator[dict[str, str]]:
    """What happened to the pages, in order of time."""
    path = data_folder() / "docs-history" / name / "events.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


@dataclass(frozen=True, slots=True)
class Dials:
    """After how many events the indexes are compared, by how many queries, and how many events an update
    takes in.
    """

    every: int
    queries: int
    together: int = 1


@dataclass
class Run:
    """Every event in turn, and comparisons on the way and at the end; what is done is kept in ``folder``."""

    folder: Path
    dials: Dials
    checks: list[dict[str, Any]] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def replay(self, happened: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
        """What the comparisons found so far, after each."""
        with self._opened() as grown:
            if self.checks:
                yield self.summary(len(happened))
            done, every = self.checks[-1]["events"] if self.checks else 0, self.dials.every
            while done < len(happened):
                until = min(done + self.dials.together, done // every * every + every, len(happened))
                began = time.process_time()
                self.refused.update(apply(grown, self.folder / "docs", happened[done:until]))
                self.took.append((time.process_time() - began) / (until - done))
                done = until
                if done % every == 0 or done == len(happened):
                    self.checks.append(check(grown, self.folder / "docs", done, self.dials.queries))
                    self._keep(grown)
                    yield self.summary(len(happened))

    def summary(self, of: int) -> dict[str, Any]:
        """Sums over all comparisons so far, in a history ``of`` so many events."""
        asked, same, bits = (sum(row[name] for row in self.checks) for name in ("queries", *COLUMNS[5:7]))
        took = sorted(self.took)
        return {
            "checks": self.checks,
            "refused": dict(self.refused),
            "together": self.dials.together,
            "events": self.checks[-1]["events"],
            "of": of,
            "same_documents": all(row["same documents"] for row in self.checks),
            "same_chunks": all(row["same chunks"] for row in self.checks),
            "same_top_10": same,
            "same_scores": bits,
            "queries": asked,
            "share": same / asked,
            "worst_check": min(row["same top 10"] / row["queries"] for row in self.checks),
            "cpu_ms_an_event": {
                "p50": 1000 * took[len(took) // 2],
                "p95": 1000 * took[len(took) * 95 // 100],
            },
        }

    def _opened(self) -> fingerpost.Index:
        """The index as it stood at the last comparison, its folder of documents beside it."""
        kept = self.folder / "kept"
        for name in ("docs", "kb"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if (kept / "done.json").is_file():
            done = json.loads((kept / "done.json").read_text())
            self.checks, self.took, self.refused = done["checks"], done["took"], Counter(done["refused"])
            for name in ("docs", "kb"):
                shutil.copytree(kept / name, self.folder / name)
            return fingerpost.open(self.folder / "kb", write=True)
        (self.folder / "docs").mkdir(parents=True)
        (self.folder / "docs" / "placeholder.txt").write_text("nothing yet")
        return fingerpost.compile(self.folder / "docs", to=self.folder / "kb", settings=WORDS_ONLY)

    def _keep(self, grown: fingerpost.Index) -> None:
        """A copy to go on from; the one before it stays until this one is whole."""
        new, kept = self.folder / "new", self.folder / "kept"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        shutil.copytree(self.folder / "docs", new / "docs")
        grown.snapshot(new / "kb")
        done = {"checks": self.checks, "took": self.took, "refused": self.refused}
        (new / "done.json").write_text(json.dumps(done))
        shutil.rmtree(kept, ignore_errors=True)
        new.rename(kept)


def apply(grown: fingerpost.Index, docs: Path, happened: Sequence[Mapping[str, str]]) -> list[str]:
    """Some events: the files, then the index; the codes of what was refused."""
    paths = [docs / event["_id"] for event in happened]
    for event, path in zip(happened, paths, strict=True):
        if event["op"] == "delete":
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(event["text"], encoding="utf-8")
    return [refused.code for refused in grown.update(*dict.fromkeys(paths)).rejections]


def check(grown: fingerpost.Index, docs: Path, number: int, queries: int) -> dict[str, Any]:
    """The grown index against one compiled from what stands now."""
    building.fold(grown._rooms, silent)
    with (
        tempfile.TemporaryDirectory() as place,
        fingerpost.compile(docs, to=Path(place) / "kb", settings=WORDS_ONLY) as new,
    ):
        one, two, choice = state(grown), state(new), random.Random(number)
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
            "with the same scores": sum(mine == theirs for mine, theirs in pairs),
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
    """The first ten chunks and their scores."""
    found = searching.find(index._rooms, Request(text))
    chunks = found.chunks(found.keys[:10])
    return [(chunk.chunk_id, float(score)) for chunk, score in zip(chunks, found.scores, strict=False)]


if __name__ == "__main__":
    main()
