"""The settings file that `init` writes: complete, commented, and equal to the defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fingerpost import config
from fingerpost.cli.settings_text import entries, file_text


def test_the_file_changes_nothing() -> None:
    assert config.parse(file_text()) == config.Settings()


def test_every_key_uncommented_is_its_default() -> None:
    written_out = re.sub(r"(?m)^#(?=\w+ = )", "", file_text())
    assert written_out != file_text()
    assert config.parse(written_out) == config.Settings()


def test_every_key_is_there_and_described() -> None:
    named = {f"{each.section}.{each.key}".lstrip(".") for each in entries()}
    sections = {each.section for each in entries()} - {""}
    assert named | sections == set(config.known_keys())
    assert all(each.description and each.allowed for each in entries())


def test_init_writes_and_does_not_write_over(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "fingerpost.toml"
    assert cli("init", path).status == 0
    assert config.load(path) == config.Settings()
    path.write_text("effort = 1\n")
    again = cli("init", path)
    assert again.status == 2
    assert "E_EXISTS" in again.err
    assert path.read_text() == "effort = 1\n"
    assert cli("init", path, "--force").status == 0


def test_the_file_of_the_folder_is_read_and_said_aloud(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fingerpost.toml").write_text("nonsense = 1\n")
    outcome = cli("search", "x", "--at", "kb")
    assert outcome.status == 3
    assert "settings from ./fingerpost.toml" in outcome.err
    assert "unknown key 'nonsense'" in outcome.err
