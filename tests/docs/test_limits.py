"""Every hostile input of kind query, id and config is a test or stands in docs/limits.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = [
    *(f"Q{n:02}" for n in range(1, 65)),
    *(f"I{n:02}" for n in range(1, 65)),
    *(f"Co{n:02}" for n in range(1, 66)),
]


@pytest.fixture(scope="module")
def told() -> str:
    """The words of all tests but this one, and of docs/limits.md, in lower case."""
    files = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    texts = [path.read_text(encoding="utf-8") for path in (*files, TESTS.parent / "docs" / "limits.md")]
    return "\n".join(texts).lower()


@pytest.mark.parametrize("row", ROWS)
def test_the_row_is_there(row: str, told: str) -> None:
    assert re.search(rf"(?<![a-z0-9]){row.lower()}(?![0-9])", told), f"no test and no reason for {row}"
