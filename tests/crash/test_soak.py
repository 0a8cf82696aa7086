"""Memory, file handles and disk stay flat while an index is updated, folded, promoted and searched."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fingerpost.store import Snapshot, Store
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from test_gone import ANY
from worker import DIM, document, encode, fold, promote

DOCUMENTS = 200
SLACK = 6_000_000
"""Bytes of memory that allocators may keep."""


@dataclass(frozen=True)
class Use:
    """What the process and the index take."""

    memory: int
    handles: int
    disk: int


def use(folder: Path) -> Use:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sizes = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return Use(pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/fd")), sum(sizes.values()))


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


def soak(folder: Path, *, rounds: int, leak: bool = False) -> tuple[Use, Use]:
    """What is in use after a fifth of the rounds, and at the end; ``leak`` keeps every view."""
    choice, kept = random.Random(1), []
    with Store.create(folder, fingerprint="f", dim=DIM) as store:
        result = store.put([document(f"doc{number}", 0) for number in range(DOCUMENTS)])
        store.put_vectors(result.keys, encode(result.passages))
        fold(store, 0)
        with Store.open(folder) as reader:
            for number in range(1, rounds + 1):
                snapshot = one_round(store, reader, choice, number)
                if leak:
                    kept.append(snapshot)
                del snapshot
                if number == rounds // 5:
                    early = use(folder)
            late = use(folder)
        assert store.check() == []
    return early, late


def check(early: Use, late: Use) -> None:
    assert late.handles <= early.handles + 2, f"handles: {early.handles} → {late.handles}"
    assert late.disk <= 1.25 * early.disk, f"disk: {early.disk:,} → {late.disk:,}"
    assert late.memory <= 1.1 * early.memory + SLACK, f"memory: {early.memory:,} → {late.memory:,}"


def test_flat_over_some_rounds(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 40)
    check(*soak(memory / "kb", rounds=40))


@pytest.mark.slow
def test_flat_for_long(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 500)
    check(*soak(memory / "kb", rounds=500))


def test_a_leak_is_caught(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("control", "views never let go")
    with pytest.raises(AssertionError, match=r"handles|disk|memory"):
        check(*soak(memory / "kb", rounds=20, leak=True))
