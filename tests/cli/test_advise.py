"""`fingerpost advise` on a real index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def test_advice_as_json(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    outcome = cli("advise", "--at", tiny_kb, "--questions", corpus / "questions", "--json")
    assert outcome.status == 0, outcome.err
    facts = json.loads(outcome.out)
    assert set(facts["stacks"]) == {"lexical", "dense", "hybrid", "search"}
    assert facts["stack"] in facts["stacks"]
    assert all(row["ms"] > 0 and 0 <= row["nDCG@10"] <= 1 for row in facts["stacks"].values())
    assert facts["facts"]["questions"] == 6
    assert facts["facts"]["exact"] == 1 / 6  # E4012
    assert facts["facts"]["documents"] == 9
    assert any("6 questions are too few" in line for line in facts["would_change"])
    assert any("fingerpost learn" in line for line in facts["would_change"])


def test_advice_in_words_for_pairs_in_a_file(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    outcome = cli("advise", "--at", tiny_kb, "--pairs", corpus / "clicks.jsonl")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("use ")
    assert "→ " in outcome.out
    assert "would change it: " in outcome.out
    assert "9 documents" in outcome.out


def test_an_index_without_a_model_has_one_stack(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[models]\nencoder = "none"\n')
    config = ("--config", tmp_path / "own.toml")
    assert cli("compile", corpus / "docs", "--to", tmp_path / "kb", *config).status == 0
    outcome = cli("advise", "--at", tmp_path / "kb", "--pairs", corpus / "clicks.jsonl", "--json", *config)
    assert set(json.loads(outcome.out)["stacks"]) == {"lexical"}


def test_wrong_input_is_named(cli: Cli, tiny_kb: Path, tmp_path: Path) -> None:
    assert cli("advise", "--at", tiny_kb, "--questions", tmp_path / "none").status == 4
    assert cli("advise", "--at", tiny_kb).status == 2
