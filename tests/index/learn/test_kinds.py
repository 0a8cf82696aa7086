"""Kinds of questions: each is judged, and one that loses refuses a lesson that all together gain by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import corpus, pairs

import fingerpost
from fingerpost.index.learn import kinds, learning
from fingerpost.index.learn.given import Given
from fingerpost.index.learn.kinds import LEAST, Row
from fingerpost.index.learn.lesson import Lesson, prepare
from fingerpost.index.learn.marks import Marks
from fingerpost.index.learn.promoting import Comparison
from fingerpost.index.progress import silent
from fingerpost.records import Pair

Case = tuple[fingerpost.Index, Lesson, Marks]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Sixty machines, of which the first twenty are asked for once, and all questions held out at .5."""
    folder = tmp_path_factory.mktemp("kinds")
    index = fingerpost.compile(corpus(folder), to=folder / "kb")
    given, alone = [], set()
    for pair in pairs():
        if int(pair.doc_id[1:]) >= 20 or pair.doc_id not in alone:
            given.append(pair)
            alone.add(pair.doc_id)
    rooms = index._rooms
    lesson = prepare(rooms, rooms.store.snapshot(), Given(tuple(given), ()), silent)
    count = len(lesson.asked)
    half = np.full(count, 0.5)
    names = tuple(map(str, range(count)))
    return index, lesson, Marks(np.arange(count), names, half, half.copy(), np.zeros(count, np.bool_))


def rows(case: Case, marks: Marks) -> dict[str, Row]:
    index, lesson, _ = case
    return {row.kind: row for row in kinds.rows(index._rooms.store.snapshot(), lesson, marks)}


def test_questions_are_told_apart_by_who_else_asks(case: Case) -> None:
    _, lesson, marks = case
    found = rows(case, marks)
    asked = found["about documents that others ask for"].count
    assert asked + sum(int(doc_id[1:]) < 20 for doc_id in lesson.doc_ids) == len(lesson.asked)
    assert "about documents that nobody else asks for" not in found  # twenty say nothing
    assert found["all questions"].count == len(lesson.asked)


def test_questions_about_late_documents_are_a_kind_of_their_own(case: Case) -> None:
    marks = case[2]
    late = np.arange(len(marks.at)) < LEAST
    found = rows(case, Marks(marks.at, marks.names, marks.untrained, marks.learned, late))
    assert found["about documents as if they came after it"].count == LEAST
    assert found["all questions"].count == len(marks.at) - LEAST


def test_one_kind_that_loses_refuses_a_lesson_that_gains(case: Case) -> None:
    marks = case[2]
    late = np.arange(len(marks.at)) < LEAST
    learned = np.where(late, 0.2, 0.9)
    found = rows(case, Marks(marks.at, marks.names, marks.untrained, learned, late))
    assert [name for name, row in found.items() if row.worse] == ["about documents as if they came after it"]
    compared = Comparison(tuple(found.values()))
    assert compared.refused
    assert "the lesson is worse than the untrained search" in compared.notes


def test_a_loss_by_chance_refuses_nothing(case: Case) -> None:
    marks, random = case[2], np.random.default_rng(0)
    learned = marks.untrained + random.normal(0, 0.3, len(marks.at)) - 0.01
    found = rows(case, Marks(marks.at, marks.names, marks.untrained, learned, marks.late))
    assert found["all questions"].after < found["all questions"].before
    assert not any(row.worse for row in found.values())


def test_documents_of_several_types_are_judged_apart(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for at in range(LEAST):
        (folder / f"a{at}.md").write_text(f"# Pump {at}\n\nThe pump {at} stands in hall {at * 7}.\n")
        (folder / f"b{at}.py").write_text(f'"""Valve {at} of the boiler."""\n\nVALVE = {at}\n')
    given = [
        *(Pair(f"where does pump {at} stand", f"a{at}.md") for at in range(LEAST)),
        *(Pair(f"which module is about valve {at}", f"b{at}.py") for at in range(LEAST)),
    ]
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        lesson = prepare(rooms, snapshot, Given(tuple(given), ()), silent)
        taught = learning.teach(rooms, snapshot, lesson, silent)
        standing = Marks(
            taught.marks.at,
            taught.marks.names,
            taught.marks.untrained,
            taught.marks.learned,
            np.zeros(len(taught.marks.at), np.bool_),
        )
        found = {row.kind: row.count for row in kinds.rows(snapshot, lesson, standing)}
    assert found["about text/markdown"] == found["about text/x-python"] == LEAST
