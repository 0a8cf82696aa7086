"""Several processes measure what one measures, to the last bit, whatever becomes of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import UsageError
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.index import Index
from fingerpost.index.measure import workers


@pytest.fixture
def index(tiny_kb: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr(workers, "MANY", 2)
    monkeypatch.setattr(workers, "BATCH", 3)
    settings = Settings.model_validate({"compile": {"threads": 2}})
    with fingerpost.open(tiny_kb, settings=settings) as opened:
        yield opened


def same(index: Index, questions: QuestionSet, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int | None]] = []
    several = index.evaluate(questions, progress=lambda _, done, total: told.append((done, total)))
    monkeypatch.setattr(workers, "MANY", 10**9)
    alone = index.evaluate(questions)
    assert several.query_ids == alone.query_ids
    assert several.values.keys() == alone.values.keys()
    for leg, table in alone.values.items():
        assert np.array_equal(several.values[leg], table), leg
    assert np.array_equal(several.promised, alone.promised, equal_nan=True)
    assert np.array_equal(several.right, alone.right)
    count = len(questions.queries)
    assert told == [(done, count) for done in range(1, count + 1)]


def test_the_numbers_are_the_same(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    same(index, index.questions(generate=40), monkeypatch)
    assert not [each for each in caplog.records if "a worker has ended" in each.message]


def test_a_worker_that_dies_loses_nothing(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = workers._started

    def dying(start: dict[str, object]) -> subprocess.Popen[bytes]:
        worker = real(start)
        worker.kill()
        worker.wait()
        return worker

    monkeypatch.setattr(workers, "_started", dying)
    same(index, index.questions(generate=20), monkeypatch)
    assert len([each for each in caplog.records if "a worker has ended" in each.message]) == 2


def test_an_error_is_the_one_that_one_process_gives(index: Index) -> None:
    asked = QuestionSet("s", "test", {"a": "key", "b": "", "c": "key"}, {each: {"x": 1} for each in "abc"})
    with pytest.raises(UsageError, match="E_EMPTY_QUERY"):
        index.evaluate(asked)


def test_few_questions_start_nothing(tiny_kb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_started", lambda start: pytest.fail("started"))
    with fingerpost.open(tiny_kb) as opened:
        opened.evaluate(opened.questions(generate=3))
