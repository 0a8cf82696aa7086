"""Several processes want to write: one at a time does, and takes over what was acknowledged before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.seeds import seeds

from fingerpost.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from oracle import Oracle, check_vectors  # noqa: E402
from worker import DIM  # noqa: E402


def campaign(folder: Path, *, takeovers: int, seed: int, guard: str = "") -> tuple[int, int]:
    """How often a writer came in, each compared with what the ones before were acknowledged, and how many of
    them were killed.
    """
    Store.create(folder, fingerprint="f", dim=DIM).close()
    oracle, came, killed = Oracle(), 0, 0
    command = [sys.executable, str(HERE / "rivals.py"), str(folder), str(seed), str(takeovers), guard]
    done = subprocess.run(
        command if guard else command[:-1],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for line in map(json.loads, done.stdout.splitlines()):
        assert "error" not in line, f"seed {seed}: {line}"
        oracle.hear(line)
        came += "found" in line
        killed += line.get("killed", 0)
    with Store.open(folder, write=True) as store:
        oracle.settle(store)
        check_vectors(store)
    return came, killed


def test_one_writes_at_a_time(memory: Path, record_property: Callable[[str, object], None]) -> None:
    came, killed = campaign(memory / "kb", takeovers=60, seed=1)
    record_property("trials", came)
    assert came == 60
    assert killed > 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_a_thousand_takeovers(
    memory: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    came, killed = campaign(memory / "kb", takeovers=300, seed=seed)
    record_property("trials", came)
    assert came == 300
    assert killed > 15


@pytest.mark.parametrize(
    ("guard", "what"), [("no_lock", "no lock"), ("nobody_looks", "no lock, judged by its harm")]
)
def test_a_missing_guard_is_caught(
    memory: Path, guard: str, what: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", what)
    with pytest.raises(AssertionError, match=r"two writers|lost|epoch|error"):
        campaign(memory / "kb", takeovers=120, seed=1, guard=guard)
