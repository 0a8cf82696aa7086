"""A principal that no label can be is refused by name on every entrance, before anything is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fingerpost
from fingerpost import Index
from fingerpost.errors import UsageError
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.index.measure import workers

SETTINGS = fingerpost.Settings.model_validate(
    {"models": {"encoder": "none"}, "observe": {"log_queries": True}}
)
QUESTIONS = QuestionSet("zebras", "given", {"1": "zebra"}, {"1": {"a": 1}})
WRONG: list[tuple[object, str]] = [
    ("ops", "a list of names, not str"),
    (b"ops", "a list of names, not bytes"),
    ({"ops": 1}, "a list of names, not dict"),
    (7, "a list of names, not int"),
    ((each for each in ["ops"]), "a list of names, not generator"),
    (["ops", ""], "is empty"),
    (["ops", " ops"], "has blanks around it"),
    (["ops\n"], "has blanks around it"),
    (["ops\u00a0"], "has blanks around it"),
    (["o\u0000ps"], "cannot be seen"),
    (["op\u202es"], "cannot be seen"),
    (["op\u200bs"], "cannot be seen"),
    (["\ud800"], "cannot be seen"),
    (["x" * 513], "is too long"),
    (["ops", None], "is no string"),
    ([7], "is no string"),
    ([["ops"]], "is no string"),
    ([b"ops"], "is no string"),
]
ENTRANCES: dict[str, Callable[[Index, object], object]] = {
    "search": lambda index, held: index.search("zebra", principals=held),
    "trace": lambda index, held: index.trace("zebra", principals=held),
    "ask": lambda index, held: index.ask("What is a zebra?", principals=held),
    "document": lambda index, held: index.document("a", principals=held),
    "explain": lambda index, held: index.explain("zebra", principals=held),
    "explain one": lambda index, held: index.explain("zebra", doc_id="a", principals=held),
    "route": lambda index, held: index.route("zebra", principals=held),
    "feedback": lambda index, held: index.feedback("zebra", "a", principals=held),
    "questions": lambda index, held: index.questions(generate=3, principals=held),
    "evaluate": lambda index, held: index.evaluate(QUESTIONS, principals=held),
    "misses": lambda index, held: index.misses(QUESTIONS, principals=held),
    "fidelity": lambda index, held: index.fidelity(QUESTIONS, principals=held),
    "timed": lambda index, held: index.timed(["zebra"], principals=held),
    "advise": lambda index, held: index.advise(QUESTIONS, principals=held),
}


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document of the group ops, and one of a label that is a letter of that name."""
    tmp_path = tmp_path_factory.mktemp("principals")
    records = [
        {"_id": "a", "title": "Striped animals", "text": "A zebra is a striped animal.", "labels": ["ops"]},
        {"_id": "b", "text": "A zebra of the letter.", "labels": ["o"]},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    fingerpost.compile(tmp_path / "a.jsonl", to=tmp_path / "kb", settings=SETTINGS).close()
    return tmp_path / "kb"


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_names_what_is_wrong_with_a_principal(entrance: str, kb: Path) -> None:
    with fingerpost.open(kb) as index:
        for given, said in WRONG:
            with pytest.raises(UsageError, match=said) as caught:
                ENTRANCES[entrance](index, given)
            assert (caught.value.code, bool(caught.value.cure)) == ("E_PRINCIPAL", True)
        with pytest.raises(UsageError, match="10,001 principals") as caught:
            ENTRANCES[entrance](index, [f"g{number}" for number in range(10_001)])
        assert caught.value.code == "E_TOO_MANY"
        ENTRANCES[entrance](index, ["ops", *(f"g{number}" for number in range(9_999))])


def test_the_list_of_entrances_is_whole() -> None:
    """Every public method that takes principals."""
    taking = {
        name
        for name in dir(Index)
        if not name.startswith("_") and "principals" in getattr(getattr(Index, name), "__annotations__", {})
    }
    assert taking == {each.split()[0] for each in ENTRANCES}


def test_none_and_no_names_are_nobody(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        for nobody in (None, [], (), set()):
            assert not index.search("zebra", principals=nobody)  # type: ignore[arg-type]
        for held in (["ops"], ("ops", "ops"), {"ops"}, frozenset(["ops"])):
            assert [span.doc_id for span in index.search("zebra", principals=held)] == ["a"]  # type: ignore[arg-type]


def test_workers_are_not_asked_as_letters(kb: Path) -> None:
    """With enough questions for processes of their own, ``"ops"`` asked as ``o``, ``p`` and ``s``."""
    many = {str(number): "zebra" for number in range(workers.MANY)}
    questions = QuestionSet("zebras", "given", many, {each: {"b": 1} for each in many})
    begun: list[str] = []
    with fingerpost.open(kb) as index, pytest.raises(UsageError, match="not str"):
        index.evaluate(questions, principals="ops", progress=lambda stage, *_: begun.append(stage))
    assert not begun
