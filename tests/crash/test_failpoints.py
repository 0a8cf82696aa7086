"""kill -9 at every named place of put, fold, promotion and rollback: old or new, never mixed."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.seeds import seeds

from fingerpost.errors import FingerpostError
from fingerpost.store import Store
from fingerpost.store.points import PLACES

sys.path.insert(0, str(Path(__file__).parent))
from oracle import Oracle, check_vectors
from victims import Victims
from worker import BESIDE, PROMOTIONS


def campaign(
    folder: Path, *, rounds: int, seed: int, guard: str = "", mix: Sequence[int] = PROMOTIONS
) -> dict[str, int]:
    """Kill at each place ``rounds`` times; returns how often each was hit."""
    choice, oracle, hits = random.Random(seed), Oracle(), dict.fromkeys(PLACES, 0)
    with Victims() as victims:
        for number in range(rounds):
            for at, place in enumerate(PLACES):
                order = {"point": place, "nth": choice.randint(1, 3), "mix": mix, "guard": guard}
                run = seed * 1_000_000 + number * 100 + at
                journal = victims.kill(folder, seed=run, steps=60, **order)
                hits[place] += journal[-1]["ended"] == signal.SIGKILL
                for line in journal:
                    oracle.hear(line)
                try:
                    settle(folder, oracle)
                except (AssertionError, FingerpostError) as error:
                    raise AssertionError(f"killed at {place}, seed {run}: {error}") from error
    return hits


def settle(folder: Path, oracle: Oracle) -> None:
    """What a reader and the next writer find."""
    with Store.open(folder) as reader:
        replace(oracle).settle(reader)
    with Store.open(folder, write=True) as store:
        oracle.settle(store)
        check_vectors(store)


def test_a_kill_at_every_place(memory: Path, record_property: Callable[[str, object], None]) -> None:
    hits = campaign(memory / "kb", rounds=2, seed=1)
    record_property("trials", sum(hits.values()))
    assert min(hits.values()), hits


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_a_thousand_kills_at_places(
    memory: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    hits = campaign(memory / "kb", rounds=9, seed=seed)
    record_property("trials", sum(hits.values()))
    assert min(hits.values()) > 4, hits


def test_a_kill_while_a_fold_runs_beside_writes(
    memory: Path, record_property: Callable[[str, object], None]
) -> None:
    hits = campaign(memory / "kb", rounds=2, seed=3, mix=BESIDE)
    record_property("trials", sum(hits.values()))
    assert min(hits[place] for place in ("fold.begun", "fold.sealed", "publish.carried", "fold.purged")), hits


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(20, 24))
def test_hundreds_of_kills_while_a_fold_runs_beside_writes(
    memory: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("seed", seed)
    record_property("trials", sum(campaign(memory / "kb", rounds=9, seed=seed, mix=BESIDE).values()))


def test_a_fold_that_claims_what_came_meanwhile_is_caught(
    memory: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", "of now")
    with pytest.raises(AssertionError, match="seed 1"):
        campaign(memory / "kb", rounds=6, seed=1, guard="of_now", mix=BESIDE)


@pytest.mark.parametrize("guard", ["promoted_in_place", "acknowledged_early", "trimmed_apart"])
def test_a_missing_guard_is_caught(
    memory: Path, guard: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", guard.replace("_", " "))
    with pytest.raises(AssertionError, match="seed 1"):
        campaign(memory / "kb", rounds=6, seed=1, guard=guard)
