"""Pairs that were taught wrongly, of whatever lesson, can be taken back: alone, and with all they taught."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.index.machines import corpus, nickname, pairs, written

import fingerpost
from fingerpost.cli.app import run
from fingerpost.errors import InputError, UsageError
from fingerpost.index.build import building
from fingerpost.index.learn import withdrawing
from fingerpost.index.progress import silent
from fingerpost.records import Pair, Report

WRONG = 10
"""Machines whose questions were taught to be another's."""
MISTAKEN = [Pair(pair.query, f"m{(int(pair.doc_id[1:]) + 1) % WRONG}") for pair in pairs(count=WRONG)]
RIGHT = pairs()[len(MISTAKEN) :]
MORE = [Pair(f"tell me of the {pair.query}", pair.doc_id) for pair in RIGHT[::5]]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first lesson with mistakes in it, and another one after it."""
    folder = tmp_path_factory.mktemp("mistaken")
    with fingerpost.compile(corpus(folder), to=folder / "kb") as index:
        index.learn([*MISTAKEN, *RIGHT])
        index.learn(MORE)
    return folder / "kb"


@dataclass(frozen=True)
class Withdrawn:
    """An index whose mistakes were withdrawn, and how many machines it misled and knew before."""

    kb: Path
    report: Report
    misled: int
    known: int


@pytest.fixture(scope="module")
def withdrawn(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Withdrawn:
    kb = Path(shutil.copytree(taught, tmp_path_factory.mktemp("withdrawn") / "kb"))
    with fingerpost.open(kb, write=True) as index:
        misled, known = _misled(index), _rest(index)
        return Withdrawn(kb, index.learn(forget=MISTAKEN), misled, known)


@pytest.fixture
def kb(taught: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taught, tmp_path / "kb"))


def _misled(index: fingerpost.Index) -> int:
    """How many of the machines of which something wrong was taught are taken for the other one."""
    first = [index.search(f"where is the {nickname(at)}", k=1)[0].doc_id for at in range(WRONG)]
    return sum(doc_id == f"m{(at + 1) % WRONG}" for at, doc_id in enumerate(first))


def _rest(index: fingerpost.Index) -> int:
    """How many of the other machines are found by what was taught of them."""
    return sum(
        index.search(f"who repairs the {nickname(at)}", k=1)[0].doc_id == f"m{at}" for at in range(WRONG, 60)
    )


def test_what_an_earlier_lesson_taught_wrongly_is_forgotten_and_the_rest_is_kept(
    withdrawn: Withdrawn, tmp_path: Path
) -> None:
    assert withdrawn.misled > WRONG / 2
    assert withdrawn.report.notes[0] == f"{len(MISTAKEN)} pairs forgotten"
    with fingerpost.open(shutil.copytree(withdrawn.kb, tmp_path / "kb"), write=True) as index:
        assert index.taught() == [*RIGHT, *MORE]
        assert index.status()["fusion"] == "learned"
        assert _misled(index) < WRONG / 2
        assert _rest(index) >= withdrawn.known - 1
        index.learn(pairs(count=WRONG))
        assert _misled(index) == 0


def test_a_rollback_afterwards_forgets_no_other_pairs(withdrawn: Withdrawn, tmp_path: Path) -> None:
    with fingerpost.open(shutil.copytree(withdrawn.kb, tmp_path / "kb"), write=True) as index:
        index.rollback()
        assert index.status()["fusion"] == "untrained"
        assert index.taught() == [*RIGHT, *MORE]


def test_stopped_before_the_pairs_went_the_same_call_goes_on(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        withdrawing._untaught(index._rooms)
        assert index.status()["fusion"] == "untrained"
        index.learn(forget=MISTAKEN)
        assert index.taught() == [*RIGHT, *MORE]
        assert index.status()["fusion"] == "learned"


def test_where_too_few_are_left_nothing_learned_ranks_and_that_is_said(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        building.fold(index._rooms, silent)
        report = index.learn(forget=[*MISTAKEN, *RIGHT, *MORE[2:], Pair("never taught", "m1")])
        assert "1 of the pairs named were not kept" in report.notes
        assert any(note.startswith("of the pairs that are left: 2 usable pairs") for note in report.notes)
        assert report.notes[-1] == "nothing learned ranks now"
        assert index.status()["fusion"] == "untrained"
        assert index.status()["taught_documents"] == 0
        assert index.taught() == MORE[:2]


def test_pairs_that_nobody_taught_change_nothing(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        generation = index.status()["generation"]
        with pytest.raises(InputError, match=r"none of the pairs \(1\) was taught") as caught:
            index.learn(forget=[Pair("never taught", "m1")])
        assert caught.value.code == "E_PAIRS"
        assert index.status()["generation"] == generation
        with pytest.raises(UsageError, match="not mixed"):
            index.learn(RIGHT, forget=MISTAKEN)


def test_the_list_of_what_was_taught_is_what_forget_reads(
    kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["learn", "--list", "--at", str(kb)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MISTAKEN) + len(RIGHT) + len(MORE)
    assert lines[0] == '{"query": "where is the zorbo zorbo", "doc_id": "m1", "origin": "gold"}'
    path = tmp_path / "wrong.jsonl"
    path.write_text("\n".join(lines[:-5]))  # too few are left for a lesson
    assert run(["learn", "--forget", str(path), "--at", str(kb)]) == 0
    assert f"{len(lines) - 5} pairs forgotten" in capsys.readouterr().out
    with fingerpost.open(kb) as index:
        assert index.taught() == MORE[-5:]
    given = written(tmp_path, RIGHT)
    assert run(["learn", "--list", "--pairs", str(given), "--at", str(kb)]) == 2
