"""The chat client against a real HTTP server on this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from tests.chat import TOO_LONG, Chat, Request, completion, says, send

from fingerpost.config import LlmSettings
from fingerpost.errors import ConfigError, MissingExtraError, ModelError
from fingerpost.models import llm
from fingerpost.models.llm import load_llm

ASK = [{"role": "user", "content": "hello"}]
PATIENCE = 120.0
"""Seconds within which an answer comes on any machine; no measure of speed."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    with Chat(says("hello back")) as found:
        yield found


def ask(server: Chat, *, timeout: float = PATIENCE) -> str:
    model = load_llm(LlmSettings(url=server.url, model="small"))
    assert model is not None
    with model:
        return model.complete(ASK, max_tokens=20, timeout=timeout)


def refusal(server: Chat, *, timeout: float = PATIENCE) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(server, timeout=timeout)
    assert caught.value.cure
    return caught.value


def test_a_question_is_answered(server: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "s3cret")
    model = load_llm(LlmSettings(url=server.url + "/", model="small", key_env="THE_KEY"))
    assert model is not None
    with model:
        assert model.complete(ASK, max_tokens=20, timeout=PATIENCE) == "hello back"
    (asked,) = server.requests
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == "Bearer s3cret"
    assert asked.body == {"model": "small", "messages": ASK, "max_tokens": 20, "temperature": 0, "seed": 0}


SCHEMA = {"type": "object", "properties": {"queries": {"type": "array"}}}


def formed(server: Chat) -> str:
    with load_llm(LlmSettings(url=server.url, model="small")) as model:  # type: ignore[union-attr]
        return model.complete(ASK, max_tokens=20, timeout=PATIENCE, schema=SCHEMA)


def test_a_server_is_told_the_form_of_the_reply(server: Chat) -> None:
    assert formed(server) == "hello back"
    (asked,) = server.requests
    named = {"name": "reply", "schema": SCHEMA, "strict": True}
    assert asked.body["response_format"] == {"type": "json_schema", "json_schema": named}


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_knows_no_schemas_is_asked_without(server: Chat, status: int) -> None:
    def old(handler: BaseHTTPRequestHandler, asked: Request) -> None:
        if "response_format" in asked.body:
            send(handler, status, b'{"error": {"message": "response_format: extra fields not permitted"}}')
        else:
            send(handler, 200, completion("as text"))

    server.reply = old
    assert formed(server) == "as text"
    assert len(server.requests) == 2


def test_a_prompt_that_is_too_long_is_called_so(server: Chat) -> None:
    server.reply = lambda handler, _: send(handler, 400, TOO_LONG)
    error = refusal(server)
    assert error.code == "E_TOO_BIG"
    assert "llm.context_tokens" in error.cure
    with pytest.raises(ModelError, match="E_TOO_BIG"):
        formed(server)
    assert len(server.requests) == 2  # not sent once more without a schema


@pytest.mark.parametrize("status", [429, 500, 503])
def test_overload_is_tried_again(server: Chat, status: int) -> None:
    late, busy = says("at last"), says("later", status=status)
    server.reply = lambda handler, asked: (busy if asked.number < 3 else late)(handler, asked)
    assert ask(server) == "at last"
    assert len(server.requests) == 3


def test_it_gives_up_after_four(server: Chat) -> None:
    server.reply = lambda handler, _: send(handler, 503, b"busy")
    assert "503: 'busy'" in refusal(server).message
    assert len(server.requests) == llm.ATTEMPTS


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "key"), (404, "llm.url"), (400, "llm.model"), (302, "llm.model")]
)
def test_a_refusal_is_final(server: Chat, status: int, cure: str) -> None:
    server.reply = lambda handler, _: send(handler, status, b"no", ("Location", "http://127.0.0.1:1/"))
    assert cure in refusal(server).cure
    assert len(server.requests) == 1


def test_a_retry_that_would_come_too_late_is_not_made(server: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "LONGEST_WAIT", 2 * PATIENCE)
    late = ("Retry-After", str(2 * int(PATIENCE)))
    server.reply = lambda handler, _: send(handler, 429, b"later", late)
    began = time.monotonic()
    assert refusal(server).code == "E_MODEL"
    assert time.monotonic() - began < PATIENCE, "it waited for what would come too late"
    assert len(server.requests) == 1


def test_a_silent_server_is_left(server: Chat) -> None:
    server.reply = server.hangs
    assert refusal(server, timeout=0.2).code == "E_TIMEOUT"


def test_a_dripping_server_is_left(server: Chat) -> None:
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: Request) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.05):  # no single read is ever late
            handler.wfile.write(b" ")
            handler.wfile.flush()

    server.reply = drip
    assert refusal(server, timeout=0.3).code == "E_TIMEOUT"
    over.set()


def test_a_server_whose_headers_drip_is_left(server: Chat) -> None:
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: Request) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for at in range(20 * int(PATIENCE)):  # a line each tenth of a second: no single read is ever late
            if over.wait(0.1):
                break
            handler.wfile.write(b"X-Part-%d: a\r\n" % at)

    server.reply = drip
    began = time.monotonic()
    assert refusal(server, timeout=0.3).code == "E_TIMEOUT"
    assert time.monotonic() - began < PATIENCE, "it waited for the last header"
    over.set()


def test_a_server_that_goes_away_in_the_middle_is_named(server: Chat) -> None:
    def half(handler: BaseHTTPRequestHandler, _: Request) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(completion("half of")[:20])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.reply = half
    assert refusal(server).code == "E_MODEL"


def test_an_endless_answer_is_cut(server: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "MAX_RESPONSE_BYTES", 100_000)
    server.reply = lambda handler, _: send(handler, 200, b"x" * 5_000_000)
    assert "more than 100,000 bytes" in refusal(server).message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        completion(None),
        completion([1]),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_not_a_completion_is_refused(server: Chat, body: bytes) -> None:
    server.reply = lambda handler, _: send(handler, 200, body)
    assert "not a chat completion" in refusal(server).message


def test_half_a_surrogate_pair_in_an_answer_becomes_text(server: Chat) -> None:
    server.reply = says("a\ud800b")
    assert ask(server) == "a?b"


def test_nobody_there(server: Chat) -> None:
    server.close()
    assert "cannot be reached" in refusal(server).message


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/v1",
        "http://10.0.0.1/v1",
        "ftp://localhost",
        "file:///etc/passwd",
        "localhost:80",
        "https://me:pw@host/v1",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_llm(LlmSettings(url=url))
    assert "me:pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://example.com/v1", "http://localhost:1/v1", "http://[::1]:1/v1"])
def test_addresses_that_are_allowed(url: str) -> None:
    model = load_llm(LlmSettings(url=url))
    assert model is not None
    model.close()


def test_no_address_no_model() -> None:
    assert load_llm(LlmSettings()) is None


def test_an_empty_key_is_named_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", " \n")
    with pytest.raises(ConfigError, match="THE_KEY"):
        load_llm(LlmSettings(url="https://example.com/v1", key_env="THE_KEY"))


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        load_llm(LlmSettings(url="https://example.com/v1"))
    assert caught.value.cure == "pip install 'fingerpost[llm]'"
