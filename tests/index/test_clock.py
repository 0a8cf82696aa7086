"""A clock that is set back, runs ahead or stands still changes nothing but what is told of times."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.chat import Chat, says
from tests.crash.worker import DIM, document, encode, fold, promote

import fingerpost
from fingerpost.config import parse
from fingerpost.index.build import building
from fingerpost.index.clock import Clock
from fingerpost.index.facade import Index
from fingerpost.index.lagging import Lagging, Write
from fingerpost.index.progress import silent
from fingerpost.index.rooms import Rooms
from fingerpost.models import llm
from fingerpost.models.rest import FIRST_SECONDS
from fingerpost.store import Store

DAY, TEN_YEARS = 86_400.0, 10 * 366 * 86_400.0
STORE = Path(fingerpost.__file__).parent / "store"


@dataclass
class Hands:
    """A clock that is set by hand."""

    wall: float = 1_700_000_000.0
    steady: float = 5_000.0

    @property
    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall, steady=lambda: self.steady)

    def passes(self, seconds: float) -> None:
        self.wall, self.steady = self.wall + seconds, self.steady + seconds


def opened(kb: Path, hands: Hands, settings: fingerpost.Settings | None = None) -> Index:
    store = Store.open(kb, write=True)
    return Index(Rooms(kb, store, settings or store.settings, hands.clock))


def write(path: Path, text: str, at: float) -> Path:
    path.write_text(f"# Zebra\n\n{text}\n")
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize("jump", [-DAY, 0.0, TEN_YEARS])
def test_the_order_of_writes_is_their_seq(own_kb: Path, tmp_path: Path, jump: float) -> None:
    hands, page = Hands(), tmp_path / "zebra.md"
    with opened(own_kb, hands) as index:
        index.update(write(page, "Ticket QX-4711 is open.", hands.wall))
        first = int(index.status()["seq"])
        hands.wall += jump
        report = index.update(write(page, "Ticket QX-4711 is shut.", hands.wall))
        assert report.counts["updated"] == 1, "what a file says counts, not when it was written"
        assert "shut" in index.search("QX-4711")[0].text
        last = int(index.status()["seq"])
    assert last > first
    for seq, said in ((first, "open"), (last, "shut")):
        with fingerpost.open(own_kb, as_of=seq) as past:
            assert said in past.search("QX-4711")[0].text


@pytest.mark.parametrize("jump", [-DAY, TEN_YEARS])
def test_a_lag_is_what_has_passed_whatever_was_done_to_the_clock(
    own_kb: Path, tmp_path: Path, jump: float
) -> None:
    hands = Hands()
    with opened(own_kb, hands) as index:
        index.update(write(tmp_path / "zebra.md", "Ticket QX-4711.", hands.wall))
        hands.passes(3.0)
        hands.wall += jump
        building.fold(index._rooms, silent)
        told = index.freshness()
        assert told["routed"]["max"] == pytest.approx(3.0)
        assert told["dense"]["max"] == 0.0, "equal times are no time"


def test_a_lag_that_outlives_its_writer_is_never_negative(tmp_path: Path) -> None:
    hands = Hands()
    Lagging(tmp_path, hands.clock).record([Write(1, 1, hands.steady, hands.steady)], lexical=0, dense=0)
    later = Hands(wall=hands.wall + 60, steady=7.0)  # the machine was started again
    assert Lagging(tmp_path, later.clock).read().waiting == [(1, 7.0 - 60, 1)]
    set_back = Hands(wall=hands.wall - DAY, steady=7.0)
    lagging = Lagging(tmp_path, set_back.clock)
    assert lagging.read().waiting == [(1, 7.0, 1)]
    set_back.passes(2.0)
    lagging.record([Write(2, 1, 9.0, 9.0)], lexical=9.0, dense=9.0)
    lagging.routed(2)
    routed = lagging.read().steps["routed"]
    assert (routed.total, routed.longest) == (0.0, 0.0)


def test_a_model_that_failed_rests_as_long_whatever_the_time_of_day(
    tiny_kb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    hands = Hands(steady=0.0)
    with Chat(says("no", status=503)) as model, Store.open(tiny_kb) as store:
        chosen = parse(f'[retrieve]\nreason = "rewrite"\n[llm]\nurl = "{model.url}"\nmodel = "m"')
        index = Index(Rooms(tiny_kb, store, chosen, hands.clock))
        index.search("how do I swap the thing that vouches for passes?")
        asked = len(model.requests)
        assert asked
        hands.wall += TEN_YEARS
        hands.steady += FIRST_SECONDS - 0.1
        index.search("how do I swap the thing that vouches for passes?")
        assert len(model.requests) == asked
        hands.steady += 0.1
        hands.wall -= 2 * TEN_YEARS
        index.search("how do I swap the thing that vouches for passes?")
        assert len(model.requests) == 2 * asked


def test_the_query_log_keeps_the_time_it_is_given(own_kb: Path) -> None:
    chosen = fingerpost.Settings.model_validate({"observe": {"log_queries": True}})
    hands = Hands(wall=4_102_444_800.0)
    with opened(own_kb, hands, chosen) as index:
        found = index.search("signing key")[0]
        hands.wall = -1.0
        index.feedback("signing key", found.doc_id)
        assert len(index.logged().queries) == 1
    lines = [json.loads(line) for line in (own_kb / "queries.jsonl").read_text().splitlines()]
    assert [line["at"][:19] for line in lines] == ["2100-01-01T00:00:00", "1969-12-31T23:59:59"]


def test_a_reader_sees_every_generation_while_the_time_stands_still(tmp_path: Path) -> None:
    """After some publications MANIFEST has the size, the time and the file number of before again, where the
    file system gives a number away that nobody holds.
    """
    kb = tmp_path / "kb"

    def identity() -> tuple[int, int]:
        os.utime(kb / "MANIFEST", (0, 0))
        found = (kb / "MANIFEST").stat()
        return found.st_ino, found.st_size

    with Store.create(kb, fingerprint="f", dim=DIM) as store:
        taken = store.put([document("a", 1)])
        store.put_vectors(taken.keys, encode(taken.passages))
        fold(store, 1)
        before = identity()
        with Store.open(kb) as reader:
            for _ in range(4):
                for number in range(25):
                    promote(store, number)
                    if identity() == before:
                        break
                before = identity()
                assert reader.snapshot().generation == store.snapshot().generation


def test_the_store_reads_no_clock() -> None:
    """It may read a date that a document bears; what time it is now, it is told."""
    for path in sorted(STORE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert "time" not in names, path.name
            asked = node.attr if isinstance(node, ast.Attribute) else ""
            assert asked not in {"now", "utcnow", "today", "monotonic", "perf_counter"}, path.name
