"""Reasoning before retrieval, with a real server that speaks the wire: answering, failing, late, lying."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests import smollm2
from tests.chat import Chat, Reply, Request, completion, says, send

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.index.search.reasoning import parse as parse_reply
from fingerpost.models import llm
from fingerpost.records import Stage

QUESTION = "how do I swap the thing that vouches for passes?"
REWRITTEN = "rotate the signing key for tokens"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    with Chat(says(json.dumps({"queries": [REWRITTEN]}))) as found:
        yield found


def settings(url: str, how: str = "rewrite", *, seconds: float = 60.0) -> Settings:
    return parse(
        f'[retrieve]\nreason = "{how}"\nreason_seconds = {seconds}\n[llm]\nurl = "{url}"\nmodel = "m"'
    )


def reasoned(kb: Path, chosen: Settings, question: str = QUESTION) -> tuple[list[str], Stage]:
    with fingerpost.open(kb, settings=chosen) as index:
        spans, trace = index.trace(question)
    return [span.chunk_id for span in spans], next(one for one in trace.stages if one.name == "reason")


def as_asked(kb: Path, question: str = QUESTION) -> list[str]:
    with fingerpost.open(kb) as index:
        return [span.chunk_id for span in index.search(question)]


@pytest.mark.parametrize("how", ["rewrite", "decompose", "hypothetical"])
def test_what_the_model_writes_is_searched_too(tiny_kb: Path, model: Chat, how: str) -> None:
    with fingerpost.open(tiny_kb) as index:
        wanted = index.search(REWRITTEN)[0].chunk_id
        before = [span.chunk_id for span in index.search(QUESTION)]
    found, stage = reasoned(tiny_kb, settings(model.url, how))
    assert found.index(wanted) <= (before.index(wanted) if wanted in before else len(before))
    assert stage.counts == {"calls": 1.0, "variants": 1.0}
    assert how in stage.note
    assert REWRITTEN in stage.note
    assert len(model.requests) == 1
    assert model.requests[0].body["max_tokens"] == 400
    assert model.requests[0].prompt == QUESTION


def test_off_means_that_nobody_is_asked(tiny_kb: Path, model: Chat) -> None:
    with fingerpost.open(tiny_kb, settings=settings(model.url, "off")) as index:
        _, trace = index.trace(QUESTION)
    assert "reason" not in [stage.name for stage in trace.stages]
    assert not model.requests


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        (says("", status=500), "E_MODEL"),
        (says("I am a teapot."), "not the JSON"),
        (says(smollm2.PROSE_FOR_JSON), "not the JSON"),
        (says('{"queries": 7}'), "not the JSON"),
        (says("[" * 50_000), "not the JSON"),
        (says('{"queries": []}'), "wrote nothing"),
        (says('{"queries": ["\\u0000", "   "]}'), "left out (E_ENCODING)"),
        (says('{"queries": ["asdf qwer zxcv jkl uiop"]}'), "about something else"),
    ],
)
def test_a_failing_or_lying_model_changes_nothing(
    tiny_kb: Path, model: Chat, reply: Reply, note: str
) -> None:
    model.reply = reply
    found, stage = reasoned(tiny_kb, settings(model.url))
    assert found == as_asked(tiny_kb)
    assert note in stage.note


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"choices": NaN}',
        b'{"choices": [{"message": {"content": NaN}}]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": "' + b"x" * 3_000_000 + b'"}}]}',
        b'{"choices": [{"mess',
    ],
    ids=["empty", "html", "nan", "nan-content", "null", "huge", "cut"],
)
def test_what_is_no_reply_changes_nothing(tiny_kb: Path, model: Chat, body: bytes) -> None:
    model.reply = lambda handler, _: send(handler, 200, body)
    found, stage = reasoned(tiny_kb, settings(model.url))
    assert found == as_asked(tiny_kb)
    assert "the language model failed (E_MODEL): searched as asked" in stage.note


def test_a_server_that_dies_in_the_middle_changes_nothing(tiny_kb: Path, model: Chat) -> None:
    def dies(handler: BaseHTTPRequestHandler, _: Request) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(completion("half of")[:30])
        handler.connection.shutdown(socket.SHUT_RDWR)

    model.reply = dies
    found, stage = reasoned(tiny_kb, settings(model.url))
    assert found == as_asked(tiny_kb)
    assert "E_MODEL" in stage.note


def test_a_question_that_comes_back_is_not_searched_twice(tiny_kb: Path, model: Chat) -> None:
    question = "How can I make requests wait longer before giving up?"
    model.reply = says(smollm2.REPEATED_QUESTION)
    found, stage = reasoned(tiny_kb, settings(model.url), question)
    assert found == as_asked(tiny_kb, question)
    assert stage.counts == {"calls": 1.0, "variants": 0.0}
    assert "said it again" in stage.note


@pytest.mark.parametrize("how", ["rewrite", "decompose", "hypothetical"])
def test_only_lists_are_asked_for_as_json(tiny_kb: Path, model: Chat, how: str) -> None:
    reasoned(tiny_kb, settings(model.url, how))
    body = model.requests[0].body
    assert ("response_format" in body) == ("JSON" in str(body["messages"])) == (how != "hypothetical")


def test_a_hypothetical_passage_may_be_plain_text(tiny_kb: Path, model: Chat) -> None:
    model.reply = says(smollm2.PASSAGE)
    _, stage = reasoned(tiny_kb, settings(model.url, "hypothetical"), "How do requests wait longer?")
    assert stage.counts == {"calls": 1.0, "variants": 1.0}


def test_a_late_model_is_not_waited_for_twice(tiny_kb: Path, model: Chat) -> None:
    model.reply = model.hangs
    with fingerpost.open(tiny_kb, settings=settings(model.url, seconds=0.2)) as index:
        first, second = index.trace(QUESTION)[1], index.trace(QUESTION)[1]
        spans = [span.chunk_id for span in index.search(QUESTION)]
    notes = [stage.note for trace in (first, second) for stage in trace.stages if stage.name == "reason"]
    assert "E_TIMEOUT" in notes[0]
    assert "not asked (E_TIMEOUT at the last call, asked again in" in notes[1]
    assert len(model.requests) == 1
    assert spans == as_asked(tiny_kb)


def test_identifiers_need_no_reasoning(tiny_kb: Path, model: Chat) -> None:
    found, stage = reasoned(tiny_kb, settings(model.url), "E4012")
    assert found == as_asked(tiny_kb, "E4012")
    assert "identifiers" in stage.note
    assert not model.requests


def test_nobody_to_ask_is_said(tiny_kb: Path) -> None:
    found, stage = reasoned(tiny_kb, settings(""))
    assert found == as_asked(tiny_kb)
    assert "needs llm.url" in stage.note


def test_rewriting_opens_no_door(tiny_kb: Path, model: Chat) -> None:
    with fingerpost.open(tiny_kb, settings=settings(model.url)) as index:
        best = index.search(REWRITTEN)[0].doc_id
        other = next(span.doc_id for span in index.search(QUESTION, k=50) if span.doc_id != best)
        seen = index.search(QUESTION, k=50, filters=[f"doc_id:={other}"])
    assert {span.doc_id for span in seen} == {other}


def test_scores_are_explained_by_question_and_variants(tiny_kb: Path, model: Chat) -> None:
    with fingerpost.open(tiny_kb, settings=settings(model.url)) as index:
        span = index.search(QUESTION)[0]
        assert index.ask(QUESTION).trace is not None
        assert index.explain(QUESTION, k=2)
    assert set(span.parts) == {"question", "variant 1"}
    assert sum(span.parts.values()) == pytest.approx(span.score, rel=1e-5)


def test_replies_are_cut_to_the_budget() -> None:
    reply = json.dumps({"queries": [f"query {at} " + "x" * 5_000 for at in range(9)]})
    texts = parse_reply(f"```json\n{reply}\n```", most=3)
    assert len(texts) == 3
    assert max(map(len, texts)) <= 2_000
