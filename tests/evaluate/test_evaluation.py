"""Runner, report and gates together, on rankings whose values are known."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from fingerpost.errors import GateError, UsageError
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.report import Evaluation, table, to_json
from fingerpost.evaluate.require import check, gates
from fingerpost.evaluate.runner import evaluate

MEASURES = parse("nDCG@10 R@100 failure@20")
QUESTIONS = QuestionSet(
    "tiny",
    "test",
    {"1": "first", "2": "second", "3": "third"},
    {"1": {"a": 1}, "2": {"b": 1, "c": 2}, "3": {"z": 0}},
    frozenset({"a"}),
)


def rank(text: str) -> dict[str, list[tuple[str, float]]]:
    good = {"first": [("a", 1.0)], "second": [("c", 2.0), ("b", 1.0)], "third": []}[text]
    return {"lexical": [("x", 3.0)], "search": good}


@pytest.fixture
def found() -> Evaluation:
    return evaluate(QUESTIONS, rank, MEASURES)


def test_the_json_is_what_the_docs_promise(found: Evaluation) -> None:
    told = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert told["queries"] == 3
    assert told["split"] == "test"
    assert told["legs"]["search"] == {"nDCG@10": 2 / 3, "R@100": 2 / 3, "failure@20": 1 / 3}
    assert told["legs"]["lexical"] == {"nDCG@10": 0.0, "R@100": 0.0, "failure@20": 1.0}
    assert told["seen"] == {"queries": 1, "legs": found.means(found.seen)}
    assert told["seen"]["legs"]["search"]["nDCG@10"] == 1.0
    assert told["unseen"]["queries"] == 2
    assert told["intervals"]["search"]["R@100"][0] <= 2 / 3 <= told["intervals"]["search"]["R@100"][1]
    assert told["tails"]["search"] == {"nDCG@10": 0.0, "R@100": 0.0, "failure@20": 1.0}
    assert told["notes"] == ["1 query has no relevant document and counts as a failure"]
    assert to_json(found, per_query=True)["per_query"]["1"]["search"]["R@100"] == 1.0  # type: ignore[index]


def test_without_training_documents_nothing_is_seen() -> None:
    lone = QuestionSet("tiny", "test", {"1": "first"}, {"1": {"a": 1}})
    told = to_json(evaluate(lone, rank, MEASURES))
    assert told["seen"] == {
        "queries": 0,
        "legs": {leg: dict.fromkeys(("nDCG@10", "R@100", "failure@20")) for leg in ("lexical", "search")},
    }


def test_the_table_tells_legs_intervals_and_tails(found: Evaluation) -> None:
    text = str(found)
    assert text.startswith("tiny, test: 3 queries")
    for line in ("search, seen (1)", "search, unseen (2)", "search, worst tenth", "note: 1 query has"):
        assert line in text
    assert "| search" in table(found, markdown=True)


def test_generated_questions_say_so(found: Evaluation) -> None:
    made = evaluate(
        QuestionSet("g", "generated", {"1": "first"}, {"1": {"a": 1}}, generated=True), rank, MEASURES
    )
    assert to_json(made)["generated"] is True
    assert "1 generated query" in str(made)


def test_progress_and_rankings_are_handed_out_as_they_come() -> None:
    steps: list[tuple[int, int]] = []
    kept: list[str] = []
    evaluate(
        QUESTIONS,
        rank,
        MEASURES,
        progress=lambda done, total: steps.append((done, total)),
        keep=lambda query_id, rankings: kept.append(f"{query_id}:{len(rankings)}"),
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert kept == ["1:2", "2:2", "3:2"]


def test_memory_does_not_grow_with_the_rankings() -> None:
    many = 2_000
    questions = QuestionSet(
        "m", "test", {str(at): "q" for at in range(many)}, {str(at): {"7": 1} for at in range(many)}
    )
    ranking = [(str(at), -float(at)) for at in range(100)]
    tracemalloc.start()
    evaluate(questions, lambda _: {"search": [(doc, score) for doc, score in ranking]}, MEASURES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000 * many  # 100 documents a query would be ten times that


def test_a_document_ranked_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="ranked twice"):
        evaluate(QUESTIONS, lambda _: {"search": [("a", 1.0), ("a", 0.5)]}, MEASURES)


@pytest.mark.parametrize(
    "text", ["R@100>=0.6", "R@100 >= 60%, failure@20<=0.5", "lexical:failure@20>=1", "nDCG@10>0.5"]
)
def test_gates_that_hold_pass(found: Evaluation, text: str) -> None:
    check(found, gates([text]))


def test_a_gate_that_does_not_hold_names_what_was_found(found: Evaluation) -> None:
    with pytest.raises(GateError) as caught:
        check(found, gates(["R@100>=0.9", "nDCG@10>=0.1"]))
    assert (caught.value.code, caught.value.exit_status) == ("E_GATE", 5)
    assert "R@100>=0.9 (found 0.6667)" in str(caught.value)
    assert "nDCG@10" not in str(caught.value)


@pytest.mark.parametrize("text", ["R@100", "R@100>=x", "R@100>=2", ">=0.5", "R@100=>0.5", "", "R@100>=1..2"])
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        gates([text])
    assert caught.value.code == "E_USAGE"


def test_gates_on_what_was_not_measured_are_refused(found: Evaluation) -> None:
    with pytest.raises(UsageError, match="no leg 'dense'"):
        check(found, gates(["dense:R@100>=0.5"]))
    with pytest.raises(UsageError, match="E_METRIC"):
        check(found, gates(["AP>=0.5"]))


def test_no_queries_meet_no_gate() -> None:
    nothing = Evaluation("n", "test", MEASURES, (), {"search": np.empty((0, 3))}, np.zeros(0, dtype=bool))
    with pytest.raises(GateError):
        check(nothing, gates(["R@100>=0"]))
    json.dumps(to_json(nothing), allow_nan=False)
