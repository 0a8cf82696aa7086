"""Memory, file handles and disk stay flat while an index is updated, folded, promoted and searched."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from fingerpost.store import Snapshot, Store
from fingerpost.store.writes import Writer
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from test_gone import ANY
from worker import DIM, document, encode, fold, promote

DOCUMENTS = 200
SLACK = 22_000_000
"""Bytes that allocators may keep, and a writer of tantivy's (15 MB) whose threads are still ending; over some
rounds on a busy machine there may be three of those.
"""
MINUTES = 20
"""Of the long form."""
LOOKS = 10
"""Rounds in a row of which the least counts."""


@dataclass(frozen=True)
class Use:
    """What the process and the index take."""

    memory: int
    handles: int
    disk: int


def use(folder: Path) -> Use:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # what was freed and is kept by the allocator comes and goes by a third
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sizes = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return Use(pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/fd")), sum(sizes.values()))


def least(uses: list[Use]) -> Use:
    return Use(*(min(getattr(each, name) for each in uses) for name in ("memory", "handles", "disk")))


def one_round(store: Store, reader: Store, choice: random.Random, number: int) -> Snapshot:
    """Update a tenth, delete and bring back a few, promote, fold, search from both sides."""
    names = choice.sample(range(DOCUMENTS), DOCUMENTS // 10)
    store.delete([f"doc{name}" for name in names[:3]])
    result = store.put([document(f"doc{name}", number) for name in names])
    store.put_vectors(result.keys, encode(result.passages))
    promote(store, number)
    fold(store, number)
    for each in (store, reader):
        snapshot = each.snapshot()
        assert len(snapshot.lexical(parse("stands"), k=DOCUMENTS)[0]) == DOCUMENTS
        snapshot.dense(ANY, k=10)
    return snapshot


@dataclass(frozen=True)
class Length:
    """How long a soak goes on: for some rounds, or for some minutes."""

    rounds: int = 0
    minutes: float = 0.0

    def shares(self) -> Iterator[float]:
        """The share that is over after each round; the last is 1 or more."""
        began, done, share = monotonic(), 0, 0.0
        while share < 1:
            done += 1
            share = done / self.rounds if self.rounds else (monotonic() - began) / (60 * self.minutes)
            yield share


def soak(folder: Path, length: Length, *, leak: bool = False) -> tuple[Use, Use, int]:
    """What is in use after a fifth of it, and at the end, and the rounds; ``leak`` keeps every view."""
    choice, kept = random.Random(1), []
    early: list[Use] = []
    late: deque[Use] = deque(maxlen=LOOKS)
    number = 0
    with Store.create(folder, fingerprint="f", dim=DIM) as store:
        result = store.put([document(f"doc{number}", 0) for number in range(DOCUMENTS)])
        store.put_vectors(result.keys, encode(result.passages))
        fold(store, 0)
        with Store.open(folder) as reader:
            for number, share in enumerate(length.shares(), start=1):
                snapshot = one_round(store, reader, choice, number)
                if leak:
                    kept.append(snapshot)
                del snapshot
                late.append(use(folder))
                if share > 0.2 and len(early) < LOOKS:
                    early.append(late[-1])
        assert store.check() == []
    return least(early), least(list(late)), number


def check(early: Use, late: Use, *, disk: float = 1.1, slack: int = SLACK) -> None:
    assert late.handles <= early.handles + 2, f"handles: {early.handles} → {late.handles}"
    assert late.disk <= disk * early.disk, f"disk: {early.disk:,} → {late.disk:,}"
    assert late.memory <= 1.1 * early.memory + slack, f"memory: {early.memory:,} → {late.memory:,}"


def test_flat_over_some_rounds(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 40)
    early, late, _ = soak(memory / "kb", Length(rounds=40))
    check(early, late, disk=1.25, slack=52_000_000)  # its first rounds are those that fill the index


@pytest.mark.slow
def test_flat_for_long(memory: Path, record_property: Callable[[str, object], None]) -> None:
    early, late, rounds = soak(memory / "kb", Length(minutes=MINUTES))
    print(f"{rounds:,} rounds in {MINUTES} minutes: {early} → {late}")
    record_property("trials", rounds)
    check(early, late)


def test_a_leak_is_caught(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("control", "views never let go")
    with pytest.raises(AssertionError, match=r"handles|disk|memory"):
        check(*soak(memory / "kb", Length(rounds=20), leak=True)[:2])


@pytest.mark.slow
def test_a_log_that_is_kept_is_caught(
    memory: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", "the log of writes kept from the beginning")
    monkeypatch.setattr(Writer, "_trim", lambda self, until: None)
    with pytest.raises(AssertionError, match="disk"):
        check(*soak(memory / "kb", Length(rounds=160))[:2])
