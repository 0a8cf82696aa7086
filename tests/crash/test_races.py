"""Races: one writer, readers in several processes and threads, folds, promotions and rollbacks at once.

Every put writes a whole ring of documents of one version, and a look sees one ring of one version in every
leg, with learned parts of one epoch; never a version older than one seen before, or acknowledged before the
look began. A view kept on the way must tell the same at the end as at first, whatever was folded meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.seeds import seeds

from fingerpost.errors import LockedError
from fingerpost.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from reader import FAILED, LOOKS
from rings import fold, put, seen
from worker import DIM, parts

READERS = 3
READER = Path(__file__).with_name("reader.py")


def acknowledge(folder: Path, version: int) -> None:
    """Say to all readers at once that this version was acknowledged."""
    path = folder.parent / "acknowledged.new"
    path.write_bytes(b"%d" % version)
    path.replace(folder.parent / "acknowledged")


def write(store: Store, version: int, choice: random.Random) -> None:
    """Put a ring; often fold, promote or roll back; let a second writer try."""
    put(store, version)
    acknowledge(store.path, version)
    if choice.random() < 1 / 4:
        fold(store, version)
    if choice.random() < 1 / 7:
        store.republish(parts(version, store._state.generation.keys))
    if choice.random() < 1 / 25:
        store.rollback()
    if choice.random() < 1 / 10:
        with pytest.raises(LockedError):
            Store.open(store.path, write=True)


def enough(folder: Path, readers: Sequence[subprocess.Popen[str]]) -> bool:
    """Whether each reader has looked some times while it was written; or one has failed."""
    told = [path.read_text() for path in folder.parent.glob(f"{LOOKS}*")]
    seen = [int(each) for each in told if each.isdecimal()]
    ended = FAILED in told or any(reader.poll() is not None for reader in readers)
    return ended or (len(seen) == READERS and min(seen) > 10)


def race(folder: Path, *, versions: int, seed: int) -> int:
    """Write beside READERS processes of two threads each; returns how many looks there were."""
    choice, environment = random.Random(seed), os.environ | {"OMP_NUM_THREADS": "1"}
    with Store.create(folder, fingerprint="f", dim=DIM) as store:
        put(store, 0)
        fold(store, 0)
        acknowledge(folder, 0)
        command = [sys.executable, str(READER), str(folder)]
        pipe = subprocess.PIPE
        readers = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
            for _ in range(READERS)
        ]
        version = 0
        while version < versions or not enough(folder, readers):
            write(store, version := version + 1, choice)
        told = [json.loads(reader.communicate()[0]) for reader in readers]
        assert not [failure for each in told for failure in each["failures"]], told
        assert store.check() == []
    return sum(each["looks"] for each in told)


def test_many_readers_beside_a_writer(memory: Path, record_property: Callable[[str, object], None]) -> None:
    looks = race(memory / "kb", versions=60, seed=1)
    record_property("trials", looks)
    assert looks > 10 * READERS


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_many_readers_for_long(
    memory: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    record_property("trials", race(memory / "kb", versions=500, seed=seed))


def test_a_look_through_two_views_is_caught(
    memory: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", "an answer from two views")
    with Store.create(memory / "kb", fingerprint="f", dim=DIM) as store:
        put(store, 0)
        before = store.snapshot()
        put(store, 1)
        with pytest.raises(AssertionError, match="mixed"):
            seen(before, apart=store.snapshot())


def test_a_view_that_nobody_keeps_is_caught(
    memory: Path, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_property("control", "views not kept")
    monkeypatch.setattr("fingerpost.store.folds.pinned", lambda root, generations: set())
    with Store.create(memory / "kb", fingerprint="f", dim=DIM) as store:
        put(store, 0)
        fold(store, 0)
        kept = store.snapshot()
        for version in range(1, 4):
            put(store, version)
            fold(store, version)
        with pytest.raises(Exception, match=r"missing|No such file|damaged"):
            seen(kept)
