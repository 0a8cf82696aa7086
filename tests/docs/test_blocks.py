"""Every code block of README and docs runs, and prints what the page says it prints (numbers apart)."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fingerpost import config
from fingerpost.cli.app import run

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
        status, printed = _command(command, here)
        assert status == 0, f"{command}\n{printed}"
        _check_lines(expected, printed)


def _command(command: str, here: Path) -> tuple[int, str]:
    """Run it in this process, which has the libraries loaded; in a shell where there is a pipe."""
    words = shlex.split(command)
    if "|" in words or words[0] != "fingerpost":
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        shell = ["bash", "-o", "pipefail", "-c", command]
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(
            shell, cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        return done.returncode, done.stderr + done.stdout
    target = words[words.index(">") + 1] if ">" in words else None
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(here), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run(words[1 : words.index(">")] if target else words[1:])
    if target:
        (here / target).write_text(out.getvalue(), encoding="utf-8")
    return status, f"{err.getvalue()}\n{out.getvalue()}"


def _check_lines(expected: str, printed: str) -> None:
    """Each line that the page shows was printed, to stdout or stderr; `…` stands for anything."""
    lines = [_shape(line) for line in printed.splitlines()]
    for line in filter(None, map(_shape, expected.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("…")))
        assert any(re.fullmatch(pattern, each) for each in lines), f"not printed: {line}\n{printed}"


def _shape(text: str) -> str:
    """Text without its numbers and spacing: figures differ from machine to machine, the rest does not."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "0", text)).strip()


def _python(block: Block, here: Path) -> None:
    with contextlib.chdir(here), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block.text, str(block.page), "exec"), {"__name__": "__main__"})


def _toml(block: Block, here: Path) -> None:
    config.parse(block.text)


def _setup(block: Block, here: Path) -> None:
    assert all(line.startswith(SETUP) for line in block.text.splitlines())
