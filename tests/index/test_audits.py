"""Audits of many processes count as those of one, cost no reader anything, and tell nobody's queries."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.index.machines import corpus, pairs

import fingerpost
from fingerpost.index.audits import MOST, NAME, Audits
from fingerpost.index.build import building
from fingerpost.index.progress import silent
from fingerpost.route.drift import LEAST, Audit
from fingerpost.route.drift import MOST as MOST_AUDITS

PATIENCE = 300.0
"""Seconds until a hanging process fails the test; no measure of speed."""
SHORT = 5
"""Processes that together audit as often as it takes."""
CHOSEN = """
[route]
full_below = 0
leaf_chunks = 16
budget = 0.01
audit = 1.0
recall = 1.0
[retrieve]
depth = 5
hop = false
[store]
late = false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index whose router looks at far too little, with every search audited."""
    folder = tmp_path_factory.mktemp("audits")
    settings = fingerpost.config.parse(CHOSEN)
    fingerpost.compile(corpus(folder, 120), to=folder / "kb", settings=settings).close()
    return folder / "kb"


@pytest.fixture
def kb(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "kb"))


def opened(kb: Path, **route: object) -> fingerpost.Index:
    settings = fingerpost.config.parse(CHOSEN)
    changed = settings.model_copy(update={"route": settings.route.model_copy(update=route)})
    return fingerpost.open(kb, settings=changed)


def reason(index: fingerpost.Index, query: str = "rotor and valve") -> str:
    plan = index.trace(query)[1].plan
    assert plan is not None
    return plan.reason


def searched(kb: Path, first: int, count: int) -> list[str]:
    """The reasons of so many searches by the command line's own process."""
    (kb.parent / "fingerpost.toml").write_text(CHOSEN)
    code = (
        "import sys, fingerpost\n"
        "from fingerpost.config import parse\n"
        "kb, chosen, first, count = sys.argv[1:]\n"
        "with fingerpost.open(kb, settings=parse(open(chosen).read())) as index:\n"
        "    for at in range(int(first), int(first) + int(count)):\n"
        "        print(index.trace(f'rotor and valve number {at}')[1].plan.reason)\n"
    )
    command = [
        sys.executable,
        "-c",
        code,
        str(kb),
        str(kb.parent / "fingerpost.toml"),
        str(first),
        str(count),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout.splitlines()


def test_short_processes_find_a_router_out_as_a_long_one_does(kb: Path) -> None:
    each = LEAST // SHORT
    first = [reason for at in range(SHORT) for reason in searched(kb, at * each, each)]
    assert len(first) == LEAST
    assert not any(one.startswith("full search") for one in first)
    [after] = searched(kb, LEAST, 1)
    assert "audits found recall" in after
    assert f"of {LEAST} queries" in after
    with opened(kb) as index:
        status = index.status()
        assert "routing is off until `fingerpost learn`" in str(status["advice"])
        assert str(status["router_health"]).startswith("full search: audits found recall")
        assert status["audits"] == LEAST
        assert float(status["audit_recall"]) < 0.9


def test_without_the_file_each_process_knows_its_own_audits_only(kb: Path) -> None:
    """The control: together they audit often enough."""
    assert LEAST < 2 * 20
    for at in range(2):
        assert not any(one.startswith("full search") for one in searched(kb, at * 20, 20))
        (kb / NAME).unlink()


def test_a_process_that_stays_hears_of_the_others(kb: Path) -> None:
    with opened(kb) as stays:
        assert not reason(stays).startswith("full search")
        searched(kb, 0, LEAST)
        assert not reason(stays, "gasket and flange").startswith("full search"), "it does not look each time"
        assert "audits found recall" in reason(stays, "nozzle and clutch"), "its own audit brought theirs"


def test_nothing_of_what_was_asked_is_kept(kb: Path) -> None:
    with opened(kb) as index:
        index.search("a very secret camshaft")
    text = (kb / NAME).read_text()
    assert re.fullmatch(r'\d+ [0-9a-f]{64}\n\{"[0-9a-f]{16} 0\.01 5 False": \[1, \d\.\d+\]\}', text)


def test_other_settings_have_other_audits(kb: Path) -> None:
    searched(kb, 0, LEAST)
    with opened(kb, budget=0.5) as index:
        assert index.status()["audits"] == 0
        assert "audits found" not in reason(index)
    with opened(kb, audit=0.0) as index:
        assert reason(index).startswith("optimist"), "who wants no audits is not judged by earlier ones"
        assert "audits are off" in str(index.status()["router_health"])
    with opened(kb) as index:
        assert reason(index).startswith("full search")


def test_a_lesson_begins_them_anew_and_a_fold_does_not(kb: Path, tmp_path: Path) -> None:
    searched(kb, 0, LEAST)
    with fingerpost.open(kb, write=True, settings=fingerpost.config.parse(CHOSEN)) as index:
        assert reason(index).startswith("full search")
        (tmp_path / "new.md").write_text("A zircon lamp.\n")
        index.update(tmp_path / "new.md")
        assert float(index.status()["newer_share"]) == pytest.approx(1 / 121, abs=1e-4)
        building.fold(index._rooms, silent)
        assert float(index.status()["newer_share"]) == 0
        assert index.status()["audits"] == LEAST
        assert index.learn(pairs(count=30)).notes[-1] != "nothing was changed"
        assert index.status()["audits"] == 0
        assert "audits found" not in reason(index)


def test_a_folder_that_cannot_be_written_is_said_and_searches_go_on(kb: Path) -> None:
    (kb / NAME).mkdir()
    with opened(kb) as index:
        assert reason(index).startswith("optimist")
        assert "1 audit," in str(index.status()["router_health"])
        assert "audits are not kept: Is a directory" in str(index.status()["router_health"])


@pytest.mark.parametrize("body", ["", "garbage", "3 abc\n[]", "[" * 100_000])
def test_a_damaged_file_is_counted_anew(kb: Path, body: str) -> None:
    (kb / NAME).write_text(body)
    with opened(kb) as index:
        assert reason(index).startswith("optimist")
        assert index.status()["audits"] == 1
    with opened(kb) as index:
        assert index.status()["audits"] == 1


@pytest.mark.parametrize(
    "row", [[-1, 0.0], [1, 2.0], [1, -0.1], [True, 1.0], ["1", 1.0], [10**9, 1.0], [1], 7]
)
def test_sums_that_no_audits_have_are_none(tmp_path: Path, row: object) -> None:
    from fingerpost.index import kept

    kept.write(tmp_path / NAME, json.dumps({"a": row}))
    assert Audits(tmp_path).of("a") == Audit()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Somebody else is writing."""
    with (folder / NAME).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_whoever_finds_another_writing_does_not_wait(tmp_path: Path) -> None:
    one, other = Audits(tmp_path), Audits(tmp_path)
    with held(tmp_path):
        one.add("a", 1.0)
        one.add("a", 0.5)
        assert one.of("a") == Audit(2, 1.5)
        assert other.of("a", anew=True) == Audit()
    one.add("a", 0.0)
    assert other.of("a", anew=True) == Audit(3, 1.5)


def test_what_waits_is_kept_when_it_closes(tmp_path: Path) -> None:
    one = Audits(tmp_path)
    with held(tmp_path):
        one.add("a", 1.0)
    one.close()
    assert Audits(tmp_path).of("a") == Audit(1, 1.0)


def test_many_processes_at_once_lose_none(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom time import sleep\n"
        "from fingerpost.index.audits import Audits\n"
        "audits = Audits(Path(sys.argv[1]))\n"
        "for at in range(100):\n    audits.add('a', 0.5)\n    sleep(0.001)\n"
        "while audits._waiting:\n    audits.close()\n"  # half a second is little on a busy machine
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [one.wait(timeout=PATIENCE) for one in running] == [0] * 4
    assert Audits(tmp_path).of("a") == Audit(400, 200.0)


def test_the_file_stays_small(tmp_path: Path) -> None:
    audits = Audits(tmp_path)
    for at in range(5_000):
        audits.add(f"{at % 50:016x}", 0.25)
    rows = json.loads((tmp_path / NAME).read_text().partition("\n")[2])
    assert list(rows) == [f"{at:016x}" for at in range(50 - MOST, 50)]
    assert (tmp_path / NAME).stat().st_size < 1_000


def test_new_audits_outweigh_old_ones() -> None:
    audit = Audit()
    for _ in range(10 * MOST_AUDITS):
        audit = audit.added(1.0)
    assert audit.queries <= MOST_AUDITS
    assert audit.recall == 1.0
    for _ in range(MOST_AUDITS):
        audit = audit.added(0.0)
    assert audit.recall < 0.5
    assert audit.verdict(0.9)
