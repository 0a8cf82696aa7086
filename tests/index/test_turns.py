"""Queries go first: writers wait while one is in flight, each step for a moment at most."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import numpy as np
import pytest

import fingerpost
from fingerpost.errors import UsageError
from fingerpost.index import turns
from fingerpost.index.build import building, updating
from fingerpost.index.build.encoding import Encoding
from fingerpost.index.progress import silent
from fingerpost.index.search import searching
from fingerpost.index.turns import QUICK_SECONDS, Quick, Turns
from fingerpost.text import query as queries

FOREVER = 60.0


def test_a_step_waits_until_the_last_query_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_SECONDS", FOREVER)
    ours = Turns()
    with ThreadPoolExecutor(1) as beside:
        with ours.query():
            with ours.query():
                step = beside.submit(ours.give_way)
            assert not wait([step], 0.05).done
        assert step.result(FOREVER)


def test_a_step_waits_no_longer_than_it_may() -> None:
    ours = Turns()
    with ours.query():
        assert not ours.give_way()
    assert ours.give_way()


def test_an_update_begins_when_nothing_is_asked(
    own_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_SECONDS", FOREVER)
    page = tmp_path / "zebra.md"
    page.write_text("# Zebra\n\nThe flux capacitor of ticket QX-4711 hums in B flat.\n")
    gives_way, real = Event(), Turns.give_way
    monkeypatch.setattr(Turns, "give_way", lambda ours: gives_way.set() or real(ours))
    with fingerpost.open(own_kb, write=True) as index, ThreadPoolExecutor(1) as beside:
        rooms = index._rooms
        before = rooms.store.desk.seq
        with rooms.turns.query():
            update = beside.submit(index.update, page)
            assert gives_way.wait(FOREVER)
            assert not wait([update], 0.1).done
            assert rooms.store.desk.seq == before
        assert update.result(FOREVER).counts["added"] == 1
        assert rooms.store.desk.seq > before
        assert index.search("QX-4711", k=1)[0].doc_id.endswith("zebra.md")


def test_queries_without_a_gap_do_not_stop_an_update(own_kb: Path, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.md").write_text(f"# Page {number}\n\nTicket QX-{number:04d} is closed.\n")
    with fingerpost.open(own_kb, write=True) as index, index._rooms.turns.query():
        report = index.update(*tmp_path.glob("*.md"))
        assert report.counts["added"] == 40
        assert index.status()["missing_vectors"] == 0


def test_a_fold_lets_queries_by_before_each_part_that_it_reads(
    own_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(70):
        (tmp_path / f"{number}.md").write_text(f"# Page {number}\n\nTicket QX-{number:04d} is closed.\n")
    monkeypatch.setattr(building, "VECTORS_AT_ONCE", 10)
    monkeypatch.setattr(building, "CHUNKS_AT_ONCE", 1)
    with fingerpost.open(own_kb, write=True) as index, index._rooms.turns.query():
        index.update(*tmp_path.glob("*.md"))
        before = [span.chunk_id for span in index.search("closed tickets")]
        chunks = index._rooms.store.snapshot().n_chunks
        given: list[bool] = []
        monkeypatch.setattr(Turns, "give_way", lambda _: given.append(False))
        building.fold(index._rooms, silent)
        words = 2  # the 70 new chunks' words are found in two parts
        leaves = index._rooms.store.desk.leaf_offsets
        described = int(np.minimum(np.diff(leaves), building.DESCRIBED).sum())
        assert len(given) == -(-chunks // 10) + described + words
        assert [span.chunk_id for span in index.search("closed tickets")] == before


def test_a_search_is_in_flight_until_it_ends_or_fails(own_kb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, parse = Event(), queries.parse
    with fingerpost.open(own_kb) as index:
        ours = index._rooms.turns

        def looked(text: str) -> queries.Query:
            if ours.asked == 1:
                seen.set()
            return parse(text)

        monkeypatch.setattr(searching.queries, "parse", looked)
        index.search("closed tickets")
        assert seen.is_set()
        assert ours.asked == 0
        with pytest.raises(UsageError):
            index.search("")
        assert ours.asked == 0


def test_the_lock_changes_hands_quickly_until_the_last_has_left() -> None:
    before, quick = sys.getswitchinterval(), Quick()
    first, second = quick, quick
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert sys.getswitchinterval() == pytest.approx(QUICK_SECONDS, abs=2e-6)
    assert before > QUICK_SECONDS
    second.__exit__()
    assert sys.getswitchinterval() == before


def test_who_changes_the_interval_meanwhile_keeps_it() -> None:
    before = sys.getswitchinterval()
    try:
        with Quick():
            sys.setswitchinterval(0.02)
        assert sys.getswitchinterval() == pytest.approx(0.02)
        for _ in range(5):
            sys.setswitchinterval(QUICK_SECONDS / 4)
            short = sys.getswitchinterval()
            with Quick():
                assert sys.getswitchinterval() < QUICK_SECONDS / 2
            assert sys.getswitchinterval() == short
    finally:
        sys.setswitchinterval(before)


def test_updates_and_folds_beside_are_quick_and_leave_no_trace(
    own_kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = sys.getswitchinterval(), list[float]()

    def noted(*given: object, **named: object) -> object:
        seen.append(sys.getswitchinterval())
        return fold(*given, **named)  # type: ignore[arg-type]

    fold = building.fold
    monkeypatch.setattr(building, "fold", noted)
    passage = Encoding._passage

    def encoded(self: Encoding, text: str) -> object:
        seen.append(sys.getswitchinterval())
        return passage(self, text)

    monkeypatch.setattr(Encoding, "_passage", encoded)
    page = tmp_path / "zebra.md"
    page.write_text("# Zebra\n\nThe flux capacitor of ticket QX-4712 hums in B flat.\n")
    with fingerpost.open(own_kb, write=True) as index:
        index.update(page)
        updating.fold_beside(index._rooms, silent)
    assert seen == pytest.approx([QUICK_SECONDS] * 2, abs=2e-6)
    assert sys.getswitchinterval() == before
