"""Sources are checked before any work is done; URLs are never fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fingerpost.cli.sources import expand
from fingerpost.errors import FingerpostError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.md", "b c.md", "-rf"):
        Path(name).write_text("text")


def test_folders_files_patterns_pass() -> None:
    assert expand([".", "a.md", "*.md", "-rf"]) == [".", "a.md", "*.md", "-rf"]


@pytest.mark.parametrize(
    "data", [b"a.md\nb c.md\n", b"a.md\r\nb c.md\r\n", b"a.md\0b c.md\0", b"\na.md\n\nb c.md"]
)
def test_a_list_of_files_on_stdin(data: bytes, stdin: Callable[[bytes], None]) -> None:
    stdin(data)
    assert expand(["-"]) == ["a.md", "b c.md"]


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        ("nowhere", "E_NOT_FOUND", 4),
        ("nowhere*.md", "E_NOT_FOUND", 4),
        ("", "E_PATH", 2),
        ("https://example.org/a.md", "E_PATH", 2),
    ],
)
def test_what_is_not_there_is_told_at_once(given: str, code: str, status: int) -> None:
    with pytest.raises(FingerpostError) as told:
        expand([given])
    assert (told.value.code, told.value.exit_status) == (code, status)


def test_an_empty_list_is_an_error(stdin: Callable[[bytes], None]) -> None:
    stdin(b"\n")
    with pytest.raises(FingerpostError, match="no source"):
        expand(["-"])


def test_a_folder_without_files_is_said_to_give_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    """The next step used to be a search of it."""
    (tmp_path / "empty").mkdir()
    outcome = cli("compile", "empty", "--to", "kb")
    assert (outcome.status, "the index holds no document" in outcome.out) == (0, True)
    assert "next:" not in outcome.err


def test_compile_of_nothing_makes_no_folder(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("compile", "nowhere", "--to", "kb").status == 4
    assert cli("compile", "nowhere*.md", "--to", "kb").status == 4
    assert not (tmp_path / "kb").exists()


@pytest.mark.parametrize(("target", "code"), [("/", "E_EXISTS"), (".", "E_EXISTS"), ("a.md", "E_PATH")])
def test_an_index_goes_into_a_folder_of_its_own(target: str, code: str, cli: Callable[..., Any]) -> None:
    before = sorted(Path(target).iterdir()) if Path(target).is_dir() else []
    outcome = cli("compile", "b c.md", "--to", target)
    assert outcome.status == 2
    assert f"error {code}" in outcome.err
    assert before == (sorted(Path(target).iterdir()) if before else [])
