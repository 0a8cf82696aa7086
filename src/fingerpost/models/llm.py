"""A language model behind an OpenAI-compatible server: one call, with limits. Needs the extra 'llm' (httpx).

    llm = load_llm(Settings().llm)
    text = llm.complete([{"role": "user", "content": "Say hello."}], max_tokens=20, timeout=10.0)

The key is read from the environment variable that the settings name, and is sent only over https or to this
machine. What comes back is text and nothing else: tool calls in it are ignored.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fingerpost.config import LlmSettings
from fingerpost.errors import ConfigError, ModelError, missing_extra
from fingerpost.models.rest import Rest

if TYPE_CHECKING:
    import httpx

MAX_RESPONSE_BYTES = 2_000_000
ATTEMPTS = 4
FIRST_WAIT = 0.25
LONGEST_WAIT = 8.0

_TOO_LONG = re.compile(rb"context.{0,20}(length|size|window)|too (long|large)", re.IGNORECASE)
"""How servers say that a prompt is longer than they hold: OpenAI, vLLM, llama.cpp."""

_SEPARATED = re.compile(r"[\s,]*(?=[^\s,\]])")

Answered = tuple[int, bytes, float]

_log = logging.getLogger(__name__)


class Llm:
    """Made by ``load_llm``. One instance keeps one connection pool; ``close`` it, or use it in a ``with``
    block. With a ``rest`` a server that failed is left alone for a while.
    """

    def __init__(self, settings: LlmSettings, rest: Rest | None = None) -> None:
        import httpx  # an extra: asked for only when a server is configured

        _check_url(settings.url)
        self._url = settings.url.rstrip("/") + "/chat/completions"
        self._model, self._rest = settings.model, rest
        self._client = httpx.Client(headers=_headers(settings), follow_redirects=False, trust_env=False)

    def __enter__(self) -> Llm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        timeout: float,
        schema: Mapping[str, object] | None = None,
    ) -> str:
        """The model's answer to ``messages`` ({"role", "content"} each), within ``timeout`` seconds, retries
        included. With a JSON ``schema`` the server is asked to let the model write nothing else; one that
        knows no schemas is asked again without, so what comes back may still be anything.

        Overload (429) and server errors (5xx) are tried again with growing pauses. Raises ModelError:
        E_TIMEOUT, E_TOO_BIG where the prompt is longer than the server holds, E_RESTS while it rests, or
        E_MODEL where it cannot be reached, refuses, answers with more than 2 MB or with something else than
        a completion.
        """
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 0,
        }
        plain = body
        if schema is not None:
            named = {"name": "reply", "schema": schema, "strict": True}
            body = {**plain, "response_format": {"type": "json_schema", "json_schema": named}}
        ask = partial(self._answer, body, plain, time.monotonic() + timeout)
        return ask() if self._rest is None else self._rest.call(ask)

    def _answer(self, body: Mapping[str, Any], plain: Mapping[str, Any], deadline: float) -> str:
        for attempt in range(ATTEMPTS):
            status, data, wait = self._post(body, deadline)
            if status in (400, 422) and body is not plain and not _TOO_LONG.search(data):
                body = plain
                status, data, wait = self._post(body, deadline)
            if status == 200:
                return _content(data)
            if status != 429 and status < 500:
                break
            pause = min(max(wait, FIRST_WAIT * 2**attempt), LONGEST_WAIT)
            if attempt + 1 == ATTEMPTS or time.monotonic() + pause >= deadline:
                break
            _log.info("the language model answered %d; trying again in %.2f s", status, pause)
            time.sleep(pause)
        said = f"the language model answered {status}: {data[:200].decode('utf-8', 'replace')!r}"
        if status in (400, 413) and _TOO_LONG.search(data):
            raise ModelError("E_TOO_BIG", said, cure="lower llm.context_tokens to what the server holds")
        raise ModelError("E_MODEL", said, cure=_cure(status))

    def _post(self, body: Mapping[str, Any], deadline: float) -> Answered:
        """Status, body and the server's Retry-After in seconds.

        The client's own limit is for each read: a server that sends its headers a line a second would never
        meet it, nor a name that is looked up for ever. So a thread waits for the server, and this one for it.
        """
        answer: SimpleQueue[Answered | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._exchange(body, deadline))
            except Exception as error:
                answer.put(error)

        Thread(target=ask, daemon=True).start()
        try:
            found = answer.get(timeout=max(deadline - time.monotonic(), 0.0))
        except Empty:
            raise _late() from None
        if isinstance(found, Exception):
            raise found
        return found

    def _exchange(self, body: Mapping[str, Any], deadline: float) -> Answered:
        import httpx

        left = deadline - time.monotonic()
        if left <= 0:
            raise _late()
        try:
            with self._client.stream("POST", self._url, json=body, timeout=left) as response:
                return response.status_code, _bounded(response, deadline), _retry_after(response)
        except httpx.TimeoutException as error:
            raise _late() from error
        except httpx.HTTPError as error:
            raise ModelError(
                "E_MODEL",
                f"the language model at {self._url} cannot be reached: {error}",
                cure="start the server, or mend llm.url",
            ) from error


def load_llm(settings: LlmSettings, rest: Rest | None = None) -> Llm | None:
    """The language model that the settings name, None where ``llm.url`` is empty.

    One ``rest`` for all that asks for the same reason: a limit too short for one says nothing about others.

    Raises MissingExtraError without httpx, ConfigError where the address or the key cannot be used.
    """
    if not settings.url:
        return None
    if importlib.util.find_spec("httpx") is None:
        raise missing_extra("llm", "asking a language model")
    return Llm(settings, rest)


def listed(reply: str, name: str) -> list[object]:
    """The list ``name`` of the JSON object in a reply, alone or inside other text. Of a list that was cut off
    at the reply's limit, the items that are whole.

    Raises ValueError where there is none.

    >>> listed('Sure! {"queries": ["rotate the signing key", "new sig', "queries")
    ['rotate the signing key']
    """
    start, end = reply.find("{"), reply.rfind("}") + 1
    try:
        given = json.loads(reply[start:end])
        found = given[name] if isinstance(given, dict) else None
    except (ValueError, KeyError, RecursionError):
        found = _whole(reply, name)
    if not isinstance(found, list):
        raise ValueError("the reply is not the JSON asked for")
    return found


def _whole(reply: str, name: str) -> list[object] | None:
    begun = re.search(rf'"{re.escape(name)}"\s*:\s*\[', reply)
    if begun is None:
        return None
    found, at, decoder = [], begun.end(), json.JSONDecoder()
    while rest := _SEPARATED.match(reply, at):
        try:
            item, at = decoder.raw_decode(reply, rest.end())
        except (ValueError, RecursionError):
            break
        found.append(item)
    return found or None


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise ConfigError(
            "E_CONFIG",
            f"llm.url {_bare(url)!r} is not an address",
            cure="such as https://host/v1, without a password in it",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            "E_CONFIG",
            f"llm.url {url!r} would send questions and documents to {host} unencrypted",
            cure="use https; plain http is for this machine only",
        )


def _bare(url: str) -> str:
    """The address without a user name or password."""
    _, at, tail = url.rpartition("@")
    return f"…@{tail}" if at else url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _headers(settings: LlmSettings) -> dict[str, str]:
    plain = {"Accept-Encoding": "identity"}  # nothing that could inflate
    if not settings.key_env:
        return plain
    key = os.environ.get(settings.key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(
            "E_CONFIG",
            f"llm.key_env names {settings.key_env}, which holds no key",
            cure=f"export {settings.key_env}=…, or empty llm.key_env",
        )
    return {**plain, "Authorization": f"Bearer {key}"}


def _bounded(response: httpx.Response, deadline: float) -> bytes:
    """The body, read no further than the size and the time allowed: a server may send slowly and for ever."""
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MAX_RESPONSE_BYTES:
            raise ModelError(
                "E_MODEL",
                f"the language model sent more than {MAX_RESPONSE_BYTES:,} bytes",
                cure="lower max_tokens; check that llm.url is a chat server",
            )
        if time.monotonic() > deadline:
            raise _late()
    return bytes(body)


def _content(data: bytes) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(content, str):
        raise _unreadable()
    return content.encode("utf-8", "replace").decode()


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 6 else 0.0


def _cure(status: int) -> str:
    if status in (401, 403):
        return "check the key in the environment variable that llm.key_env names"
    if status == 404:
        return "check llm.url (it ends in /v1 for most servers) and llm.model"
    return (
        "look at the server's log; ask again later" if status == 429 or status >= 500 else "check llm.model"
    )


def _late() -> ModelError:
    return ModelError(
        "E_TIMEOUT",
        "the language model did not answer in time",
        cure="raise llm.timeout_seconds, or ask for less",
    )


def _unreadable() -> ModelError:
    return ModelError(
        "E_MODEL",
        "the language model's answer is not a chat completion",
        cure="check that llm.url is a chat server",
    )
