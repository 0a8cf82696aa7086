"""Killed at random moments: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.seeds import seeds

from fingerpost.errors import LockedError
from fingerpost.store import Store

WORKER = Path(__file__).with_name("worker.py")
sys.path.insert(0, str(WORKER.parent))
from oracle import Oracle, check_vectors  # noqa: E402
from victims import Victims  # noqa: E402
from worker import DIM  # noqa: E402


def campaign(folder: Path, *, kills: int, seed: int) -> int:
    """Kill a writer again and again, also while it opens the index; returns how many writes were
    acknowledged.
    """
    choice, oracle, acknowledged = random.Random(seed), Oracle(), 0
    Store.create(folder, fingerprint="f", dim=DIM).close()
    with Victims() as victims:
        for number in range(kills):
            journal = victims.kill(folder, seed=seed * 10_000 + number, seconds=choice.uniform(0.001, 0.15))
            assert journal[-1]["ended"] == signal.SIGPROF, journal[-1]
            acknowledged += sum("done" in line for line in journal)
            for line in journal:
                oracle.hear(line)
            with Store.open(folder) as reader:
                replace(oracle).settle(reader)
            with Store.open(folder, write=True) as store:
                oracle.settle(store)
                if number % 3 == 0:
                    check_vectors(store)
    return acknowledged


def digest_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_thirty_kills(memory: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 30)
    assert campaign(memory / "kb", kills=30, seed=1) > 30
    Store.open(memory / "kb", write=True).close()
    before = digest_of(memory / "kb")
    Store.open(memory / "kb", write=True).close()
    Store.open(memory / "kb").close()
    assert digest_of(memory / "kb") == before, "opening a second time changes no byte"


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_a_thousand_kills(memory: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 100)
    record_property("seed", seed)
    campaign(memory / "kb", kills=100, seed=seed)


def test_a_killed_writers_lock_is_taken_over_and_a_living_ones_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    victim = subprocess.Popen(
        [sys.executable, str(WORKER), str(folder), "5"], stdout=subprocess.PIPE, env=environment
    )
    assert victim.stdout is not None
    victim.stdout.readline()
    with pytest.raises(LockedError) as caught:
        Store.open(folder, write=True)
    assert caught.value.detail == str(victim.pid)
    with Store.open(folder) as reader:
        reader.snapshot()
    victim.kill()
    victim.stdout.close()
    victim.wait()
    Store.open(folder, write=True).close()
