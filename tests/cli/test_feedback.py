"""Recording clicks, measuring on them and learning from them, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def test_evaluate_on_the_log(cli: Cli, own_kb: Path, tmp_path: Path) -> None:
    config = tmp_path / "on.toml"
    config.write_text("[observe]\nlog_queries = true\n")
    shared = ("--at", own_kb, "--config", config)
    nothing = cli("evaluate", "--log", *shared)
    assert (nothing.status, "no click" in nothing.err) == (2, True)
    assert cli("search", "how are keys rotated", *shared).status == 0
    assert cli("search", "an idle question", *shared).status == 0
    assert cli("feedback", "how are keys rotated", "docs/auth.md", *shared).status == 0
    facts = json.loads(cli("evaluate", "--log", "--json", *shared).out)
    assert (facts["log"], facts["generated"], facts["split"], facts["queries"]) == (True, False, "log", 1)
    assert any("1 recorded query without a click" in note for note in facts["notes"])
    assert "1 logged query" in cli("evaluate", "--log", *shared).out
    mixed = cli("evaluate", "--log", "--generate", 5, *shared)
    assert (mixed.status, "not mixed" in mixed.err) == (2, True)
    assert cli("feedback", "how?", "no/such.md", *shared).status == 4


def test_learning_takes_pairs_or_the_log(cli: Cli, own_kb: Path, corpus: Path) -> None:
    assert cli("learn", "--at", own_kb).status == 2
    assert cli("learn", "--at", own_kb, "--log", "--pairs", corpus / "clicks.jsonl").status == 2
    assert cli("learn", "--at", own_kb, "--log").status == 2
