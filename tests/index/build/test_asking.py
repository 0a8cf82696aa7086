"""Asking a language model many times over: how many at once, and when it is left alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from tests.chat import TOO_LONG, Chat, Reply, completion, says, send

from fingerpost.config import LlmSettings
from fingerpost.index.build.asking import Asking
from fingerpost.models import llm
from fingerpost.models.llm import Llm

pytest.importorskip("httpx", reason="the extra 'llm' is not installed")

PATIENCE = 120.0
"""Seconds until a hanging test fails; no measure of speed."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    with Chat(says("yes")) as found:
        yield found


def asked(server: Chat, texts: list[str], *, at_once: int = 4) -> tuple[Asking, list[str | None]]:
    settings = LlmSettings(url=server.url, model="m", at_once=at_once)
    with Llm(settings) as client:
        asking = Asking(client, settings)

        def ask(text: str) -> str | None:
            return asking.reply([{"role": "user", "content": text}], max_tokens=8, about="a test")

        return asking, list(asking.side_by_side(ask, texts))


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_requests_at_once_than_the_settings_allow(server: Chat, most: int) -> None:
    lock, running, seen = threading.Lock(), [0], [0]
    enough = threading.Barrier(most)

    def reply(handler: object, request: object) -> None:
        with lock:
            running[0] += 1
            seen[0] = max(seen[0], running[0])
        enough.wait(PATIENCE)  # passes only when as many as are allowed have come
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        says("yes")(handler, request)  # type: ignore[arg-type]

    server.reply = reply
    asking, replies = asked(server, ["a question"] * 6, at_once=most)
    assert replies == ["yes"] * 6
    assert seen[0] == most
    assert (asking.asked, asking.failed) == (6, 0)


def test_a_prompt_that_is_too_long_says_nothing_of_the_next(server: Chat) -> None:
    def reply(handler: object, request: object) -> None:
        long = len(request.prompt) > 100  # type: ignore[attr-defined]
        send(handler, 400 if long else 200, TOO_LONG if long else completion("yes"))  # type: ignore[arg-type]

    server.reply = reply
    asking, replies = asked(server, ["x" * 200] * 5 + ["short"], at_once=1)
    assert replies == [None] * 5 + ["yes"]
    assert (asking.asked, asking.failed, asking.last) == (1, 5, "E_TOO_BIG")


@pytest.mark.parametrize("reply", [says("no", status=400), says("no", status=500)])
def test_a_model_that_fails_three_times_in_a_row_is_left_alone(server: Chat, reply: Reply) -> None:
    server.reply = reply
    asking, replies = asked(server, ["a question"] * 9, at_once=1)
    assert replies == [None] * 9
    assert (asking.asked, asking.failed, asking.last) == (0, 9, "E_MODEL")
    assert len({request.number for request in server.requests}) in (3, 3 * llm.ATTEMPTS)
