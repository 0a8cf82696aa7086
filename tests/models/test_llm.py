"""The chat client against a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fingerpost.config import LlmSettings
from fingerpost.errors import ConfigError, MissingExtraError, ModelError
from fingerpost.models import llm
from fingerpost.models.llm import load_llm

ASK = [{"role": "user", "content": "hello"}]
Reply = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """Answers each POST with ``reply(handler, number of the request)`` and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, object]]] = []
        self.reply: Reply = lambda handler, _: send(handler, 200, completion("hello back"))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), json.loads(body)))
                try:
                    outer.reply(self, len(outer.requests))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    handler.send_response(status)
    for name, value in (("Content-Length", str(len(body))), *headers):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def completion(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    found = Server()
    yield found
    found.close()


def ask(server: Server, *, timeout: float = 5.0) -> str:
    model = load_llm(LlmSettings(url=server.url, model="small"))
    assert model is not None
    with model:
        return model.complete(ASK, max_tokens=20, timeout=timeout)


def refusal(server: Server, *, timeout: float = 5.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(server, timeout=timeout)
    assert caught.value.cure
    return caught.value


def test_a_question_is_answered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "s3cret")
    model = load_llm(LlmSettings(url=server.url + "/", model="small", key_env="THE_KEY"))
    assert model is not None
    with model:
        assert model.complete(ASK, max_tokens=20, timeout=5.0) == "hello back"
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == {"model": "small", "messages": ASK, "max_tokens": 20, "temperature": 0, "seed": 0}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_overload_is_tried_again(server: Server, status: int) -> None:
    server.reply = lambda handler, n: send(handler, status if n < 3 else 200, completion("at last"))
    assert ask(server) == "at last"
    assert len(server.requests) == 3


def test_it_gives_up_after_four(server: Server) -> None:
    server.reply = lambda handler, _: send(handler, 503, b"busy")
    assert "503: 'busy'" in refusal(server).message
    assert len(server.requests) == llm.ATTEMPTS


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "key"), (404, "llm.url"), (400, "llm.model"), (302, "llm.model")]
)
def test_a_refusal_is_final(server: Server, status: int, cure: str) -> None:
    server.reply = lambda handler, _: send(handler, status, b"no", ("Location", "http://127.0.0.1:1/"))
    assert cure in refusal(server).cure
    assert len(server.requests) == 1


def test_a_retry_that_would_come_too_late_is_not_made(server: Server) -> None:
    server.reply = lambda handler, _: send(handler, 429, b"later", ("Retry-After", "7"))
    began = time.monotonic()
    assert refusal(server, timeout=2.0).code == "E_MODEL"
    assert time.monotonic() - began < 1.0


def test_a_silent_server_is_left(server: Server) -> None:
    server.reply = lambda handler, _: time.sleep(0.6)
    assert refusal(server, timeout=0.2).code == "E_TIMEOUT"


def test_a_dripping_server_is_left(server: Server) -> None:
    def drip(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    server.reply = drip
    began = time.monotonic()
    assert refusal(server, timeout=0.3).code == "E_TIMEOUT"
    assert time.monotonic() - began < 1.5


def test_an_endless_answer_is_cut(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_what_is_not_a_completion_is_refused(server: Server, body: bytes) -> None:
    server.reply = lambda handler, _: send(handler, 200, body)
    assert "not a chat completion" in refusal(server).message


def test_half_a_surrogate_pair_in_an_answer_becomes_text(server: Server) -> None:
    server.reply = lambda handler, _: send(handler, 200, completion("a\ud800b"))
    assert ask(server) == "a?b"


def test_nobody_there(server: Server) -> None:
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
