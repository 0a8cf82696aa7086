"""Questions that are nearly the same fall on one side of every split of a lesson, whatever they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import TAUGHT, nickname, pairs

import fingerpost
from fingerpost.index.learn.given import read
from fingerpost.index.learn.learning import train
from fingerpost.index.learn.lesson import Lesson, prepare
from fingerpost.index.progress import silent
from fingerpost.index.search.planning import HELD_OUT
from fingerpost.records import Pair
from fingerpost.rerank import learn as fusion
from fingerpost.route import gate
from fingerpost.route.deep import held
from fingerpost.route.pairs import aside, folds, groups

TWICE = [Pair(f"Where is the {nickname(at)}", f"m{at + 30}") for at in range(0, 30, 3)]
"""The same with a capital, of another machine."""


@pytest.fixture(scope="module")
def index(plain_machines: Path) -> Iterator[fingerpost.Index]:
    with fingerpost.open(plain_machines) as opened:
        yield opened


def prepared(index: fingerpost.Index, given: list[Pair]) -> Lesson:
    rooms = index._rooms
    return prepare(rooms, rooms.store.snapshot(), read([*given, *TWICE]), silent)


@pytest.fixture(scope="module")
def lesson(index: fingerpost.Index) -> Lesson:
    return prepared(index, pairs())


def twins(lesson: Lesson) -> list[tuple[int, int]]:
    """The places of both questions of each pair of near-duplicates about two documents."""
    place = {asked.query.text: at for at, asked in enumerate(lesson.asked)}
    found = [(place[pair.query], place[pair.query.replace("W", "w")]) for pair in TWICE]
    group = groups(lesson.pairs.queries)
    assert all(group[one] == group[other] for one, other in found)
    assert all(lesson.doc_ids[one] != lesson.doc_ids[other] for one, other in found)
    return found


def parted(sides: np.ndarray, lesson: Lesson) -> int:
    """How many near-duplicates are on two sides."""
    return sum(sides[one] != sides[other] for one, other in twins(lesson))


@pytest.mark.parametrize("seed", range(6))
def test_near_duplicates_never_fall_on_both_sides(lesson: Lesson, seed: int) -> None:
    splits = {
        "memory out of fold": folds(lesson.pairs.queries, 5, seed=seed),
        "fusion, surety and reranker": fusion.folds(lesson.families, seed=seed),
        "plan and router": aside(lesson.families, HELD_OUT, seed=seed),
        "deep training": held.assign(lesson.pairs, 5, seed=seed)[0],
    }
    assert {name: parted(sides, lesson) for name, sides in splits.items()} == dict.fromkeys(splits, 0)
    assert all(len(np.unique(sides)) > 1 for sides in splits.values())
    documents = fusion.folds(lesson.doc_ids, seed=seed)
    assert parted(documents, lesson) > 0, "by documents alone they would"


@pytest.mark.parametrize("seed", range(6))
def test_the_gate_of_the_memory_parts_none(index: fingerpost.Index, lesson: Lesson, seed: int) -> None:
    live = index._rooms.store.live()
    split = gate._Split.make(index._rooms.store.vectors(live.keys), live.docs, lesson.pairs, seed)
    group = groups(lesson.pairs.queries)
    assert not np.isin(group[split.held.query], group[split.train.query]).any()
    assert len(split.held.query)


def test_all_questions_about_a_document_are_of_one_family(lesson: Lesson) -> None:
    named = dict(zip(lesson.doc_ids, lesson.families, strict=True))
    assert [named[doc_id] for doc_id in lesson.doc_ids] == list(lesson.families)
    assert fusion.FOLDS < len(set(lesson.families)) <= 60 - len(TWICE)


def test_the_fusion_is_dealt_by_families(index: fingerpost.Index) -> None:
    rooms, lesson = index._rooms, prepared(index, pairs(TAUGHT[:2]))
    judges = train(rooms, rooms.store.snapshot(), lesson, silent).result.judges
    assert set(judges) == set(lesson.families) < set(lesson.doc_ids)
