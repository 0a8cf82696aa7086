"""Files of several editions, of which questions ask for the newest: learning picks that up."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import NICKNAMES

import fingerpost
from fingerpost.records import Pair

YEARS = (2015, 2018, 2021)
TAUGHT, TOPICS, SOME = 120, 150, 50
NAMES = [f"{one} {other}" for one in NICKNAMES for other in NICKNAMES if one != other]
NAMES += [f"{one} {one} {other}" for one in NICKNAMES for other in NICKNAMES if one != other]


def dated(path: Path, year: int) -> Path:
    """The file as if it had been written in that year."""
    when = datetime(year, 6, 1, tzinfo=UTC).timestamp()
    os.utime(path, (when, when))
    return path


@pytest.fixture(scope="module")
def editions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with three editions of each page, in an order that has nothing to do with their names; the id
    of each page's newest.
    """
    folder, random = tmp_path_factory.mktemp("editions"), np.random.default_rng(0)
    newest = []
    for at in range(TOPICS):
        order = random.permutation(len(YEARS)).tolist()
        for place, which in enumerate(order):
            words = f"To start the {NAMES[at]}, press button {random.integers(100, 999)}."
            path = folder / f"page{at}-{place}.md"
            path.write_text(f"# {NAMES[at].title()}\n\n{words}\n")
            dated(path, YEARS[which])
            if which == len(YEARS) - 1:
                newest.append(path.name)
    return folder, newest


def right(index: fingerpost.Index, newest: list[str], topics: range) -> float:
    """The share of questions about pages nobody was taught that the newest edition answers first."""
    found = [index.search(f"which button starts the {NAMES[at]}", k=1)[0].doc_id for at in topics]
    return float(np.mean([doc_id.endswith(newest[at]) for at, doc_id in zip(topics, found, strict=True)]))


def test_a_lesson_that_asks_for_the_newest_teaches_just_that(
    editions: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, newest = editions
    untaught = range(TAUGHT, TOPICS)
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        ids = {span.doc_id for at in range(3) for span in index.search(NAMES[at], k=20)}
        assert newest[0] in {doc_id.rpartition("/")[2] for doc_id in ids}
        before = right(index, newest, untaught)
        pairs = [Pair(f"how to start the {NAMES[at]}", newest[at]) for at in range(TAUGHT)]
        report = index.learn(pairs)
        assert report.counts["fusion gain"] > 0.1
        assert right(index, newest, untaught) > max(0.9, before + 0.3)
        later = dated(_edition(folder, NAMES[TAUGHT]), 2024)
        index.update(later)
        assert index.search(f"which button starts the {NAMES[TAUGHT]}", k=1)[0].doc_id.endswith(later.name)
        factors = index.explain(f"which button starts the {NAMES[TAUGHT]}", k=1)
        assert "recency" in str(factors)


def _edition(folder: Path, name: str) -> Path:
    """One more page."""
    path = folder / "one-more.md"
    path.write_text(f"# {name.title()}\n\nTo start the {name}, press button 7.\n")
    return path


def test_editions_of_one_day_cost_no_look(tmp_path: Path) -> None:
    """All files bear one date, so the lesson cannot use it, and no search reads it."""
    for at in range(SOME):
        path = tmp_path / f"page{at}.md"
        path.write_text(f"# Page {at}\n\nTo start the {NAMES[at]}, press button {at}.\n")
        dated(path, 2020)
    pairs = [Pair(f"{kind} {NAMES[(at * 7) % SOME]}", f"page{at}.md") for at in range(SOME) for kind in KINDS]
    with fingerpost.compile(tmp_path, to=tmp_path / "kb") as index:
        index.learn(pairs)
        rooms = index._rooms
        forest = rooms.epoch(rooms.store.snapshot()).judges.forest
        assert forest is not None
        assert not forest.reads("recency")
        index.search(pairs[0].query)
        assert not rooms.store.snapshot()._days


KINDS = ("start the", "use of the", "where is the")
