"""kill -9 at random moments: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fingerpost.errors import LockedError
from fingerpost.store import Store

WORKER = Path(__file__).with_name("worker.py")
sys.path.insert(0, str(WORKER.parent))
from oracle import Oracle, check_vectors  # noqa: E402


def run_and_kill(folder: Path, seed: int, seconds: float) -> list[dict[str, object]]:
    """Start a writer, kill it ``seconds`` after it is ready, return what it said."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    victim = subprocess.Popen(
        [sys.executable, str(WORKER), str(folder), str(seed)], stdout=subprocess.PIPE, env=environment
    )
    assert victim.stdout is not None
    ready = victim.stdout.readline()
    assert json.loads(ready) == {"ready": True}
    try:
        victim.wait(seconds)
    except subprocess.TimeoutExpired:
        victim.send_signal(signal.SIGKILL)
    rest = victim.stdout.read().splitlines()
    victim.stdout.close()
    assert victim.wait() == -signal.SIGKILL, "the writer ended by itself"
    return [json.loads(line) for line in rest]


def campaign(folder: Path, *, kills: int, seed: int) -> int:
    """Kill a writer again and again; returns how many writes were acknowledged."""
    choice, oracle, acknowledged = random.Random(seed), Oracle(), 0
    for number in range(kills):
        journal = run_and_kill(folder, seed * 10_000 + number, choice.uniform(0.0, 0.3))
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


def test_thirty_kills(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 30)
    assert campaign(tmp_path / "kb", kills=30, seed=1) > 100
    Store.open(tmp_path / "kb", write=True).close()
    before = digest_of(tmp_path / "kb")
    Store.open(tmp_path / "kb", write=True).close()
    Store.open(tmp_path / "kb").close()
    assert digest_of(tmp_path / "kb") == before, "opening a second time changes no byte"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_thousand_kills(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 100)
    campaign(tmp_path / "kb", kills=100, seed=seed)


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
