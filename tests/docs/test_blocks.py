"""Every code block of README and docs runs, and prints what the page says it prints (numbers apart)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fingerpost import config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETUP = ("make ", "git ", "cd ", "pip ")


class Block(NamedTuple):
    page: Path
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(page, language, text) for language, text in BLOCK.findall(page.read_text(encoding="utf-8"))]


def test_every_language_is_one_that_is_checked() -> None:
    assert {each.language for page in PAGES for each in blocks(page)} <= {"console", "python", "toml", "sh"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_run(page: Path, corpus: Path, tmp_path: Path) -> None:
    """In the order of the page, in one folder, as a reader would."""
    found = blocks(page)
    if not found:
        pytest.skip("no code on this page")
    here = Path(shutil.copytree(corpus, tmp_path / "here"))
    for block in found:
        {"console": _console, "python": _python, "toml": _toml, "sh": _setup}[block.language](block, here)


def _console(block: Block, here: Path) -> None:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        done = _run(["bash", "-o", "pipefail", "-c", command], here)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if expected.strip():
            assert _shape(expected) in _shape(done.stdout + done.stderr) or _all_lines(expected, done), (
                command
            )


def _all_lines(expected: str, done: subprocess.CompletedProcess[str]) -> bool:
    """Each line that the page shows was printed, to stdout or stderr; `…` stands for anything."""
    printed = [_shape(line) for line in (done.stderr + "\n" + done.stdout).splitlines()]
    for line in filter(None, map(_shape, expected.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("…")))
        assert any(re.fullmatch(pattern, each) for each in printed), f"not printed: {line}\n" + "\n".join(
            printed
        )
    return True


def _shape(text: str) -> str:
    """Text without its numbers and spacing: figures differ from machine to machine, the rest does not."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "0", text)).strip()


def _python(block: Block, here: Path) -> None:
    done = _run([sys.executable, "-c", block.text], here)
    assert done.returncode == 0, done.stderr


def _toml(block: Block, here: Path) -> None:
    config.parse(block.text)


def _setup(block: Block, here: Path) -> None:
    assert all(line.startswith(SETUP) for line in block.text.splitlines())


def _run(command: list[str], here: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=here,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
