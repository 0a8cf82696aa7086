"""Questions that are documents of the index: a lesson leaves them out of their own results too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import PARTS

import fingerpost
from fingerpost.index.facade import Index
from fingerpost.index.learn.given import Given, read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.index.search.itself import NOBODY
from fingerpost.records import Pair

COUNT = 40


def claim(at: int, side: str) -> str:
    words = np.random.default_rng(at).choice(PARTS, 6)
    return f"Claim {at} of {' '.join(words)}: {side} it."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder in which each claim asks for its counter-claim, and is a document as well."""
    root = tmp_path_factory.mktemp("claims")
    (root / "qrels").mkdir()
    with (root / "corpus.jsonl").open("w") as corpus, (root / "queries.jsonl").open("w") as queries:
        for at in range(COUNT):
            for side in ("for", "against"):
                record = {"_id": f"{side}-{at}", "title": "", "text": claim(at, side)}
                corpus.write(json.dumps(record) + "\n")
            queries.write(json.dumps({"_id": f"for-{at}", "text": claim(at, "for")}) + "\n")
    rows = [f"for-{at}\tagainst-{at}\t1\n" for at in range(COUNT)]
    for split in ("train", "test"):
        (root / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    return root


@pytest.fixture(scope="module")
def index(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return fingerpost.compile(folder / "corpus.jsonl", to=tmp_path_factory.mktemp("kb") / "kb")


def untrained(index: Index, pairs: Path | list[Pair]) -> tuple[float, tuple[str, ...]]:
    report = index.learn(pairs)
    return report.counts["fusion untrained"], report.notes


def test_a_lesson_measures_what_an_evaluation_does(index: Index, folder: Path) -> None:
    """The claim itself stood first in every held-out ranking: an nDCG@10 of .63 at best."""
    judged = index.evaluate(folder, measures=("nDCG@10",)).value("nDCG@10")
    value, notes = untrained(index, folder)
    assert f"{COUNT} of the questions are documents themselves (same id, same text) and no results" in notes
    assert judged > 0.9
    assert value == pytest.approx(judged, abs=0.05)


def test_a_kept_pair_is_known_again_without_its_id(index: Index, folder: Path) -> None:
    index.learn(folder)
    kept = [pair for pair in index._rooms.store.pairs() if pair.origin == "itself"]
    assert len(kept) == COUNT
    rooms, snapshot = index._rooms, index._rooms.store.snapshot()
    lesson = prepare(rooms, snapshot, Given(), silent)
    assert [snapshot.doc_key(f"for-{at}") for at in range(COUNT)] == sorted(lesson.own)
    assert not {key for answers in lesson.answers for key in answers} & set(lesson.own)


def test_a_question_without_that_id_is_none(index: Index) -> None:
    """Somebody may well ask for one product in the words of another: it stays a result."""
    rooms, snapshot = index._rooms, index._rooms.store.snapshot()
    other = [Pair(claim(at, "against"), f"for-{at}") for at in range(COUNT)]
    lesson = prepare(rooms, snapshot, read(other), silent)
    assert set(lesson.own[-COUNT:]) == {NOBODY}
