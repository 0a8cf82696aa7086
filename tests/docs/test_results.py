"""Results are read elsewhere than where they were made: none names a path of a machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RESULTS = sorted((Path(__file__).parents[2] / "bench" / "results").glob("*.json"))
ABSOLUTE = re.compile(r"""(?:^|[\s"'=])(?:/[\w.-]+){2,}|[A-Z]:\\""")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_names_no_path_of_a_machine(path: Path) -> None:
    assert not ABSOLUTE.findall(path.read_text())


def test_such_a_path_would_be_found() -> None:
    assert ABSOLUTE.search('"command": "python -m bench.x --python /home/me/bin/python"')
    assert not ABSOLUTE.search('"command": "python -m bench.x --python ../peers/bin/python a/b"')
