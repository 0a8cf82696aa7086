"""Lesson after lesson: what was learned before is kept, and a worse lesson does not take its place."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import PARTS, TAUGHT, corpus, nickname, pairs

import fingerpost
from fingerpost.index.build import building
from fingerpost.index.epoch import LESSON
from fingerpost.index.learn.kinds import LEAST, Row
from fingerpost.index.learn.marks import ndcg
from fingerpost.index.progress import silent
from fingerpost.records import GIVEN, Pair, Report

OLD, TOPICS = 40, 60
"""Machines of the first lesson, and all of them."""
EARLY, LATE = range(OLD), range(OLD, TOPICS)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 40 machines that learned their nicknames; 20 more come by an update, nothing taught."""
    folder = tmp_path_factory.mktemp("first")
    with fingerpost.compile(corpus(folder, OLD), to=folder / "kb") as index:
        index.learn(pairs(count=OLD))
        index.update(corpus(folder, TOPICS))
    return folder / "kb"


@dataclass(frozen=True)
class Second:
    """An index after a second lesson, of the 20 machines alone, and what was known before it."""

    kb: Path
    report: Report
    early: float
    late: float


@pytest.fixture(scope="module", params=[False, True], ids=["beside", "folded"])
def second(first: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Second:
    """The second lesson, where the update before it was folded or lies beside."""
    kb = Path(shutil.copytree(first, tmp_path_factory.mktemp("second") / "kb"))
    with fingerpost.open(kb, write=True) as index:
        early, late = _known(index, EARLY), _known(index, LATE)
        if request.param:
            building.fold(index._rooms, silent)
        return Second(kb, index.learn(_new()), early, late)


@pytest.fixture
def kb(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "kb"))


def _new() -> list[Pair]:
    return [pair for pair in pairs() if int(pair.doc_id[1:]) >= OLD]


def _given(index: fingerpost.Index) -> list[Pair]:
    return [pair for pair in index._rooms.store.pairs() if pair.origin in GIVEN]


def _known(index: fingerpost.Index, machines: range) -> float:
    """The share of these machines found first by a question as people ask it."""
    found = [index.search(f"where is the {nickname(at)}", k=1)[0].doc_id for at in machines]
    return float(np.mean([doc_id == f"m{at}" for at, doc_id in zip(machines, found, strict=True)]))


def test_a_lesson_of_new_pairs_alone_forgets_nothing(second: Second) -> None:
    assert second.report.notes[-1] != "nothing was changed"
    assert second.report.counts["pairs"] == len(pairs())
    with fingerpost.open(second.kb) as index:
        assert _known(index, EARLY) >= second.early - 0.05
        assert _known(index, LATE) > second.late + 0.3


def test_without_the_pairs_of_before_it_would_forget(kb: Path) -> None:
    """The control: the test of new pairs alone could not fail if a memory kept old documents by itself."""
    with fingerpost.open(kb, write=True) as index:
        before = _known(index, EARLY)
        index._rooms.store.forget_pairs(0, GIVEN)
        index.learn(_new())
        assert _known(index, EARLY) < before - 0.3


def test_taking_the_second_lesson_back_keeps_the_pairs_of_the_first(second: Second, tmp_path: Path) -> None:
    with fingerpost.open(shutil.copytree(second.kb, tmp_path / "kb"), write=True) as index:
        assert f"{len(_new())} pairs forgotten" in index.rollback().notes
        assert _given(index) == pairs(count=OLD)


def test_a_lesson_that_spoils_earlier_questions_is_refused(kb: Path) -> None:
    """It beats the untrained sum, so without a look at what serves it would be put to use."""
    random = np.random.default_rng(0)
    wrong = [Pair(pair.query, f"m{random.integers(OLD)}") for pair in pairs(count=OLD) for _ in range(2)]
    with fingerpost.open(kb, write=True) as index:
        before, generation = _known(index, EARLY), index.status()["generation"]
        report = index.learn(wrong)
        assert report.counts["fusion gain"] > report.counts["fusion error"]
        assert "the lesson is worse than the one that serves" in report.notes
        assert any(note.startswith("earlier questions") and "worse" in note for note in report.notes)
        assert report.notes[-1] == "nothing was changed"
        assert index.status()["generation"] == generation
        assert _known(index, EARLY) == before
        assert _given(index) == pairs(count=OLD)


def test_new_questions_are_judged_by_the_lesson_that_serves_too(second: Second) -> None:
    row = next(note for note in second.report.notes if note.startswith("new questions"))
    serving, taught = (float(word) for word in row.split()[3:5])
    assert serving < 0.5 < taught
    assert "worse" not in row


def test_a_lesson_without_new_questions_is_judged_by_the_earlier_ones(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        report = index.learn(pairs(count=OLD)[: LEAST // 2])
        assert not any(note.startswith("new questions") for note in report.notes)
        earlier = next(note for note in report.notes if note.startswith("earlier questions ("))
        assert 150 < int(earlier.partition("(")[2].partition(")")[0]) < 200  # not those judged apart
        assert report.notes[-1] != "nothing was changed"


def test_a_lesson_of_before_this_was_kept_is_said_to_be_not_compared(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        store = index._rooms.store
        kept = json.loads(store.desk.artifact(LESSON) or b"")
        store.republish({LESSON: json.dumps({"pairs": kept["pairs"]}).encode()})
        report = index.learn(pairs(count=OLD)[:20])
        assert f"not compared with the lesson that serves: 0 new questions, {LEAST} needed" in report.notes


def test_pairs_that_agree_wait_for_more_though_the_search_gained_nothing(tmp_path: Path) -> None:
    """Numbers that words find already: the vectors can learn them, the search has nothing to gain."""
    numbers = np.random.default_rng(0).permutation(np.arange(40_000, 90_000, 37))[:TOPICS].tolist()
    path, parts = tmp_path / "numbers.jsonl", np.random.default_rng(1)
    with path.open("w") as file:
        for number in numbers:
            text = f"Machine {number} has these parts: {' '.join(parts.choice(PARTS, 8))}."
            record = {"_id": f"n{number}", "title": f"Machine {number}", "text": text}
            file.write(json.dumps(record) + "\n")
    given = [Pair(kind.format(f"machine {number}"), f"n{number}") for number in numbers for kind in TAUGHT]
    with fingerpost.compile(path, to=tmp_path / "kb") as index:
        report = index.learn(given)
        assert "fusion: no better than the untrained sum on held-out documents" in report.notes
        assert report.notes[-2:] == ("the pairs are kept for the next lesson", "nothing was changed")
        assert _given(index) == given


def test_a_row_is_worse_only_beyond_its_error_and_by_enough() -> None:
    random = np.random.default_rng(0)
    values = random.random(200)
    assert not Row.of("q", values, values).worse
    assert not Row.of("q", values, values - 0.004).worse
    assert Row.of("q", values, values - 0.006).worse
    assert not Row.of("q", values, random.permutation(values) - 0.01).worse
    assert not Row.of("q", values[:1], values[:1] - 0.5).worse


def test_documents_that_no_leg_found_count_against_the_ranking() -> None:
    docs, scores = np.array([1, 2, 2]), np.array([3.0, 2.0, 1.0])
    assert ndcg(docs, scores, frozenset({1})) == 1.0
    assert ndcg(docs, scores, frozenset({1, 9})) == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert ndcg(docs, scores, frozenset({9})) == 0.0
    assert ndcg(docs[:0], scores[:0], frozenset({9})) == 0.0
