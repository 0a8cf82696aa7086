"""Answers of a real index, asked again without their evidence, with other evidence, and with none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chat import Chat, speaks

import fingerpost
from fingerpost.config import Settings
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.index.measure.fidelity import drawn

Say = Callable[[str], str | None]
REFUSES = json.dumps({"statements": []})


def reads(prompt: str) -> str:
    """Quotes the first line of the first evidence, as an honest model would; refuses without any."""
    lines = prompt.split("⟧")[1].split("\n") if "⟦evidence" in prompt else []
    line = next((each for each in lines[1:] if len(each.split()) > 3), "")
    if not line:
        return REFUSES
    return json.dumps({"statements": [{"text": line, "quotes": [{"evidence": 1, "quote": line}]}]})


def by_heart(prompt: str) -> str:
    """Quotes the evidence, and has learned the answer to one question by heart."""
    if "⟦evidence" in prompt:
        return reads(prompt)
    return "To rotate the signing key, run `keys rotate --grace 24h`." if "rotate" in prompt else "Who knows."


def fails(prompt: str) -> str | None:
    """Answers from evidence, and breaks without any."""
    return reads(prompt) if "⟦evidence" in prompt else None


def quiet(prompt: str) -> str:
    """Answers from evidence, and says that it does not know without any."""
    return reads(prompt) if "⟦evidence" in prompt else "I don't know."


def test_extractive_answers_come_from_their_evidence(tiny_kb: Path, corpus: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        found = index.fidelity(corpus / "questions", count=6)
    shares = found.shares()
    assert found.answers == 6
    assert found.answers - found.refused >= 3
    assert {shares[name] for name in ("cited", "verbatim", "supported", "moved", "followed")} == {1.0}
    assert shares["closed_book"] is None  # nobody to ask
    assert found.faults == ()


@pytest.mark.parametrize(
    ("say", "probed", "told", "leaked"),
    [(quiet, 6, 0, 0), (by_heart, 6, 6, 1), (fails, 0, 0, 0)],
    ids=["quiet", "by heart", "fails"],
)
def test_a_model_that_knows_by_heart_is_found_out(
    tiny_kb: Path, corpus: Path, say: Say, probed: int, told: int, leaked: int
) -> None:
    pytest.importorskip("httpx", reason="the extra 'llm' is not installed")
    with Chat(speaks(say)) as model:
        settings = Settings.model_validate({"llm": {"url": model.url, "model": "stub"}})
        with fingerpost.open(tiny_kb, settings=settings) as index:
            found = index.fidelity(corpus / "questions", count=6)
    assert (found.probed, found.closed_book, found.leaked) == (probed, told, leaked)
    assert found.unprobed == 6 - probed
    assert found.shares()["moved"] == found.shares()["followed"] == 1.0


def test_the_questions_are_drawn_evenly() -> None:
    queries = {f"q{at}": "?" for at in range(10)}
    asked = QuestionSet("s", "test", queries, {name: {} for name in queries})
    assert drawn(asked, 3) == ["q0", "q3", "q6"]
    assert drawn(asked, 99) == list(queries)
    assert drawn(asked, 0) == []
