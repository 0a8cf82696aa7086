"""A command run in this process, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper

import pytest

from fingerpost.cli.app import run


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``cli("search", "--at", kb, "words")`` runs that command here."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(each) for each in arguments])
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """``stdin(b"a.md\\n")`` is what the next command reads."""

    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(data), encoding="utf-8"))

    return give
