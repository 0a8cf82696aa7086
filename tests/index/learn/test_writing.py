"""Learning from questions that a language model behind a real server writes, and what is kept of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import smollm2
from tests.chat import Chat, says, speaks
from tests.index.learn.test_generated import pages

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import ConfigError, InputError, UsageError
from fingerpost.index import Index
from fingerpost.models import llm
from fingerpost.records import WRITTEN

pytest.importorskip("httpx", reason="the extra 'llm' is not installed")

PAGES = 40


def asks(prompt: str) -> str:
    """What a good model writes about a page of the manual."""
    found = re.search(r"When the (\w+) of model (\d+) (\w+)", prompt)
    assert found
    part, model, fault = found.groups()
    return (
        f"Here you are:\n1. Why is my {part} in machine {model} broken, it {fault}?\n"
        f"2. How do I replace the {part} of model {model}?\n3. What is the text about?\n"
    )


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    fingerpost.compile(pages(folder, PAGES), to=folder / "kb").close()
    return folder / "kb"


@pytest.fixture
def kb(manual: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(manual, tmp_path / "kb"))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    with Chat(speaks(asks)) as found:
        yield found


def settings(url: str, name: str = "m") -> Settings:
    return Settings.model_validate({"llm": {"url": url, "model": name}})


def written(index: Index) -> list[fingerpost.records.Pair]:  # type: ignore[name-defined]
    return [pair for pair in index._rooms.store.pairs() if pair.origin.startswith(WRITTEN)]


def test_written_questions_weigh_the_legs_and_are_paid_for_once(kb: Path, model: Chat) -> None:
    told: list[str] = []
    with fingerpost.open(kb, write=True, settings=settings(model.url)) as index:
        report = index.learn(generate=90, written=True, announce=told.append)
        assert re.match(r"30 passages to write questions about: as many requests, about [\d,]+", told[0])
        assert len(model.requests) == 30
        assert report.counts["generated"] == 90 + 60
        assert "60 written" in report.notes[0]
        assert "asked about 30 passages, 0 had their questions; 0 replies held none" in report.notes[1]
        assert {pair.query.split()[0] for pair in written(index)} == {"Why", "How"}
        if index.status()["fusion"] != "untrained":
            index.rollback()
        again = index.learn(generate=90, written=True, announce=told.append)
        assert len(told) == 1
        assert "asked about 0 passages, 30 had their questions" in again.notes[1]
    with fingerpost.open(kb, write=True, settings=settings(model.url, "another")) as index:
        index.learn(generate=90, written=True)
        assert len(model.requests) == 60  # another model, other questions
        assert len(written(index)) == 60


def test_a_run_that_the_model_fails_goes_on_where_it_stopped(kb: Path, model: Chat) -> None:
    answered: list[str] = []

    def tires(prompt: str) -> str | None:
        if len(answered) >= 10:
            return None
        answered.append(prompt)
        return asks(prompt)

    model.reply = speaks(tires)
    with fingerpost.open(kb, write=True, settings=settings(model.url)) as index:
        with pytest.raises(UsageError, match="from 1 to"):
            index.learn(generate=-1, written=True)
        report = index.learn(generate=99, written=True)
        assert any(re.match(r"\d+ requests failed \(E_MODEL\): learn again", note) for note in report.notes)
        assert len(written(index)) == 20
        assert len(model.requests) < 33  # left alone after three failures in a row
        before, model.reply = len(model.requests), speaks(asks)
        if index.status()["fusion"] != "untrained":
            index.rollback()
        index.learn(generate=99, written=True)
        assert len(model.requests) - before == 33 - 10
        assert len(written(index)) == 66


def test_questions_go_with_their_document_and_with_its_text(kb: Path, model: Chat, tmp_path: Path) -> None:
    with fingerpost.open(kb, write=True, settings=settings(model.url)) as index:
        index.learn(generate=120, written=True)
        assert {pair.doc_id for pair in written(index)} == {f"p{at}" for at in range(PAGES)}
        index.delete("p7")
        assert "p7" not in {pair.doc_id for pair in written(index)}
        changed = tmp_path / "one.jsonl"
        changed.write_text('{"_id": "p8", "title": "Model 8", "text": "Nothing is known of this one."}\n')
        index.update(changed)
        assert "p8" not in {pair.doc_id for pair in written(index)}
        assert "p9" in {pair.doc_id for pair in written(index)}


def test_nothing_is_kept_of_a_document_that_went_meanwhile(kb: Path, model: Chat) -> None:
    with fingerpost.open(kb, write=True, settings=settings(model.url)) as index:

        def slow(prompt: str) -> str:
            if "model 7 " in prompt:
                index.delete("p7")
            return asks(prompt)

        model.reply = speaks(slow)
        index.learn(generate=120, written=True)
        assert {pair.doc_id for pair in written(index)} == {f"p{at}" for at in range(PAGES) if at != 7}


@pytest.mark.parametrize("reply", [smollm2.ABOUT_THE_TEXT, smollm2.ENDLESS, smollm2.FOREIGN])
def test_a_silly_model_changes_nothing(kb: Path, model: Chat, reply: str) -> None:
    model.reply = says(reply)
    with fingerpost.open(kb, write=True, settings=settings(model.url)) as index:
        report = index.learn(generate=120, written=True)
        assert written(index) == []
        assert report.counts["generated"] == 120
        assert "40 replies held none that can be used" in report.notes[1]


def test_what_cannot_be_done_is_refused_before_anything_is_sent(kb: Path, model: Chat) -> None:
    with fingerpost.open(kb, write=True) as index:
        with pytest.raises(ConfigError, match="written by a language model"):
            index.learn(generate=90, written=True)
        with pytest.raises(UsageError, match="made, not given"):
            index.learn([fingerpost.records.Pair("a b", "p1")], written=True)  # type: ignore[attr-defined]
    with (
        fingerpost.open(kb, write=True, settings=settings(model.url)) as index,
        pytest.raises(InputError, match="usable questions"),
    ):
        index.learn(generate=3, written=True)
    assert len(model.requests) <= 1
