"""A chat server on this machine that speaks OpenAI's wire, for tests of whatever asks a language model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True)
class Request:
    """What the server was asked; the first is number 1."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, object]

    @property
    def prompt(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])  # type: ignore[index]


Reply = Callable[[BaseHTTPRequestHandler, Request], None]


class Chat:
    """Answers each POST with ``reply`` and keeps what was asked; ``hangs`` is a reply that never comes."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self._closing, self._lock = threading.Event(), threading.Lock()
        self._talking: list[threading.Thread] = []
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                chat._talking.append(threading.current_thread())
                super().setup()

            def do_GET(self) -> None:
                """For ``drain``."""

            def do_POST(self) -> None:
                chat._answer(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads, self._http.block_on_close = True, False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            request = Request(len(self.requests) + 1, handler.path, dict(handler.headers), body)
            self.requests.append(request)
        try:
            self.reply(handler, request)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    @property
    def prompts(self) -> list[str]:
        """The last message of every request."""
        return [request.prompt for request in self.requests]

    def hangs(self, _: BaseHTTPRequestHandler, __: Request) -> None:
        self._closing.wait()

    def drain(self) -> None:
        """Until all that was sent by clients that are gone has been heard."""
        with socket.create_connection(self._http.server_address[:2]) as last:
            last.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert not last.recv(1)  # connections are taken in the order in which they were made
        for thread in self._talking:
            thread.join()

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


TOO_LONG = (
    b'{"error":{"code":400,"message":"request (4993 tokens) exceeds the available context size '
    b'(4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4993,'
    b'"n_ctx":4096}}'
)
"""What llama.cpp's server answered to a prompt that was too long."""


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    handler.send_response(status)
    for name, value in (("Content-Length", str(len(body))), *headers):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def completion(text: object) -> bytes:
    """The body in which a model says ``text``."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def says(text: object, *, status: int = 200) -> Reply:
    """The same to everybody."""
    return lambda handler, _: send(handler, status, completion(text))


def speaks(say: Callable[[str], str | None]) -> Reply:
    """What ``say`` makes of the prompt; None is an error."""

    def reply(handler: BaseHTTPRequestHandler, request: Request) -> None:
        said = say(request.prompt)
        send(handler, 400 if said is None else 200, completion(said))

    return reply
