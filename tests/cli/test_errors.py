"""Every way a command can fail: its exit status, and a sentence with a cure instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from fingerpost import errors
from fingerpost.cli.errors import left_out, tell
from fingerpost.records import Rejection

CLASSES = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.FingerpostError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_class_ends_with_its_exit_status(kind: type[errors.FingerpostError], capsys: Any) -> None:
    assert tell(kind("E_USAGE", "it is so", cure="do that")) == kind.exit_status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error E_USAGE: it is so\ncure: do that\n"


def test_a_bug_has_no_traceback_unless_asked_for(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tell(ZeroDivisionError("oh\x1b[31m")) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ZeroDivisionError: oh\\x1b[31m\ncure: this is a bug")
    monkeypatch.setenv("FINGERPOST_DEBUG", "1")
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        tell(error)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "E_DISK"),
        (errno.EROFS, "E_DISK"),
        (errno.EACCES, "E_UNREADABLE"),
        (errno.EMFILE, "E_UNREADABLE"),
    ],
)
def test_the_systems_errors_are_named(number: int, code: str, capsys: Any) -> None:
    assert tell(OSError(number, "said the system", "some/file")) == 1
    assert f"error {code}: some/file: said the system" in capsys.readouterr().err


def test_a_message_cannot_forge_a_line(capsys: Any) -> None:
    tell(errors.UsageError("E_ID", "bad\nerror E_DISK: forged", cure="x\ry"))
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_what_was_left_out_is_named_and_the_status_says_so(capsys: Any) -> None:
    rejections = tuple(Rejection(f"f{n}\n.md", "E_EMPTY", "empty", "fill it") for n in range(23))
    assert left_out(rejections) == 7
    told = capsys.readouterr().err
    assert "left out f0\\x0a.md: E_EMPTY: empty\n  cure: fill it\n" in told
    assert "… and 3 more" in told
    assert left_out(()) == 0


@pytest.mark.parametrize(
    "arguments",
    [["serch"], ["search"], ["search", "x", "--nope"], ["search", "x", "-k", "ten"], ["delete"], ["compile"]],
)
def test_wrong_usage_is_2(cli: Callable[..., Any], arguments: list[str]) -> None:
    outcome = cli(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error E_USAGE: ")
    assert "cure: see `fingerpost" in outcome.err


@pytest.mark.parametrize("k", ["0", "-1", "1001", str(2**31), str(2**63)])
def test_counts_out_of_range_are_2(cli: Callable[..., Any], k: str) -> None:
    outcome = cli("search", "x", "-k", k)
    assert outcome.status == 2
    assert "E_RANGE" in outcome.err
    assert "1 … 1,000" in outcome.err


def test_help_and_version(cli: Callable[..., Any]) -> None:
    assert "Exit status" in cli().out
    assert cli("--version").out.startswith("fingerpost ")
    assert cli("search", "--help").status == 0


def test_ctrl_c_says_that_the_work_can_go_on(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fingerpost.cli.sources.expand", interrupted)
    outcome = cli("compile", ".")
    assert outcome.status == 130
    assert "the same command goes on from there" in outcome.err
