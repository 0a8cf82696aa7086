"""The house stays small: file lengths, public names, docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fingerpost

SOURCE = Path(fingerpost.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 400
MOST_STATEMENT_LINES = 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_and_no_function_grows_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MOST_STATEMENT_LINES, f"{node.name} has {length} lines"


def test_every_public_name_can_be_loaded_and_is_documented() -> None:
    for name in fingerpost.__all__:
        assert getattr(fingerpost, name).__doc__, name
    with pytest.raises(AttributeError):
        fingerpost.nothing  # noqa: B018
