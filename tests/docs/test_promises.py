"""docs/reliability.md says of each promise what bench/results/prove.json has, and prove.py adds up right."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bench.promises import PROMISES, Promise
from bench.prove import before, limit, record, seen

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
LINES = [line.strip("|").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
TOLD = {int(cells[0]): (cells[-2], cells[-1].strip()) for cells in LINES if cells[0].strip().isdigit()}
ROWS = before()


@pytest.mark.parametrize("number", sorted(TOLD.keys() & ROWS.keys()))
def test_the_page_says_what_was_measured(number: int) -> None:
    row = ROWS[number]
    assert not row["failures"]
    found, bound = TOLD[number]
    assert found.startswith(str(row["seen"])), f"row {number}: {row['seen']!s}"
    assert bound == limit(row), f"row {number}: {limit(row)}"


def test_every_promise_of_the_page_has_its_tests() -> None:
    assert set(TOLD) <= {promise.number for promise in PROMISES}


REPORT = """<s>
<testcase file="tests/a.py" name="long[7]" time="1"><properties><property name="seed" value="7"/>
<property name="trials" value="50"/></properties></testcase>
<testcase file="tests/a.py" name="long[8]" time="1"><properties><property name="seed" value="8"/>
</properties><failure/></testcase>
<testcase file="tests/a.py" name="plain[x]"/><testcase file="tests/a.py" name="plain[y]"><skipped/></testcase>
<testcase file="tests/a.py" name="caught"><properties><property name="control" value="no lock"/>
</properties></testcase></s>"""


def test_runs_add_up_and_a_second_run_takes_the_place_of_the_first() -> None:
    promise = Promise(0, "words", "kills", ())
    runs = {name: {**run, "commit": "one"} for name, run in seen(ET.fromstring(REPORT)).items()}
    row = record(promise, runs)
    assert (row["tried"], row["failures"], row["skipped"]) == (50, 1, 1)
    assert (row["seeds"], row["controls_caught"], row["bound_95"]) == ([7, 8], ["no lock"], None)
    mended = ET.fromstring(REPORT.replace("</properties><failure/>", "</properties>"))
    runs |= {name: {**run, "commit": "two"} for name, run in seen(mended).items()}
    assert (record(promise, runs)["failures"], record(promise, runs)["bound_95"]) == (0, 3 / 50)
