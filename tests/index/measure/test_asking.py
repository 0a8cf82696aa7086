"""Questions that are documents themselves, as those of ArguAna and Quora are: no results of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fingerpost
from fingerpost.index import Index
from fingerpost.index.measure import workers
from fingerpost.index.measure.evaluating import Replay
from fingerpost.index.search.found import Request

PLAIN = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
CLAIM = "Bicycle lanes make a city quieter, safer and richer."
COUNTER = "Bicycle lanes make a city slower, and no richer or safer."
OTHER = "Rivers carry sand to the sea."


def lines(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the claim, the document "claim" is the question itself; "2" is another text under a query's id."""
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    texts = {"claim": CLAIM, "counter": COUNTER, "2": OTHER}
    lines(beir / "corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in texts.items()])
    asked = {"claim": CLAIM.replace(" a ", "  a "), "2": COUNTER, "3": CLAIM}
    lines(beir / "queries.jsonl", [{"_id": name, "text": text} for name, text in asked.items()])
    judged = "claim\tcounter\t1\n2\tcounter\t1\n3\tclaim\t1\n"
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return beir


@pytest.fixture
def index(folder: Path, tmp_path: Path) -> Index:
    return fingerpost.compile(folder / "corpus.jsonl", to=tmp_path / "kb", settings=PLAIN)


def test_a_question_that_is_a_document_is_not_its_own_answer(index: Index, folder: Path) -> None:
    runs: dict[str, list[str]] = {}

    def keep(query_id: str, rankings: object) -> None:
        runs[query_id] = [doc_id for doc_id, _ in rankings["search"]]  # type: ignore[index]

    questions = index.questions(folder)
    assert questions.own == {"claim": "claim"}
    assert any("1 of the questions is a document itself" in note for note in questions.notes)
    found = index.evaluate(questions, measures=["Hits@1"], keep=keep)
    assert [row[0] for row in found.values["search"]] == [1.0, 1.0, 1.0]
    assert runs == {"claim": ["counter"], "2": ["counter", "claim"], "3": ["claim", "counter"]}


def test_a_miss_counts_it_neither_before_nor_after_the_second_look(index: Index) -> None:
    for own, rank in ((None, 2), ("claim", 1)):
        probe = Replay(index._rooms, Request(CLAIM, k=1), 1, own=own)
        assert (probe.fused("counter"), probe.final("counter")) == (rank, rank)


def test_nor_for_workers_for_advice_or_among_the_misses(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = index.evaluate(folder).values
    monkeypatch.setattr(workers, "MANY", 1)
    several = index.evaluate(folder).values
    assert {leg: each.tolist() for leg, each in alone.items()} == {k: v.tolist() for k, v in several.items()}
    assert index.misses(folder, k=1) == []
    assert all(stack.values.tolist() == [1.0] * 3 for stack in index.advise(folder).stacks)
    questions = index.questions(folder)
    index.delete("claim")
    assert [(miss.query_id, miss.doc_id) for miss in index.misses(questions, k=1)] == [("3", "claim")]
