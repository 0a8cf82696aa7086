"""What ``--as`` is given: names, or a refusal before anything is looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
VERBS = {
    "search": ("zebra",),
    "ask": ("What is a zebra?",),
    "explain": ("zebra",),
    "route": ("zebra",),
    "feedback": ("zebra", "docs/auth.md"),
    "evaluate": ("--generate", "2"),
    "advise": ("--questions", "questions.jsonl"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_names_what_is_wrong_with_a_principal(
    verb: str, cli: Cli, tiny_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an unset variable of a shell (``""``), and bytes of a shell that are no text."""
    monkeypatch.chdir(tmp_path)
    Path("questions.jsonl").write_text('{"query": "zebra", "doc_id": "docs/auth.md"}\n')
    Path("fingerpost.toml").write_text("[observe]\nlog_queries = true\n")
    for name in ("", " ops", "op\u202es", "o\udcffps", "x" * 513):
        outcome = cli(verb, *VERBS[verb], "--at", tiny_kb, "--as", "ops", "--as", name)
        assert (outcome.status, outcome.out) == (2, "")
        assert "E_PRINCIPAL" in outcome.err


def test_the_list_of_commands_is_whole() -> None:
    from fingerpost.cli.app import app

    taking = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if "principals" in getattr(command.callback, "__annotations__", {})
    }
    assert taking == set(VERBS)
