"""kill -9 at random moments: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fingerpost.errors import LockedError
from fingerpost.store import Store
from fingerpost.text.query import parse

WORKER = Path(__file__).with_name("worker.py")
sys.path.insert(0, str(WORKER.parent))
from worker import document, encode  # noqa: E402

State = dict[str, int | None]


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


def replay(state: State, journal: list[dict[str, object]]) -> State:
    """Follow what was acknowledged; returns what was in flight when the writer died."""
    flight: State = {}
    for line in journal:
        if "begin" in line:
            flight = dict(line["begin"])  # type: ignore[call-overload]
        else:
            state.update(flight)
            flight = {}
    return flight


def check_whole(store: Store, state: State, flight: State) -> None:
    """Every document is the acknowledged one – or all of those in flight are the new ones – in every leg."""
    assert store.check() == [] or store.missing_vectors()
    snapshot = store.snapshot()
    seen = {name: version_of(snapshot, name) for name in {*state, *flight}}
    before = {name: state.get(name) for name in seen}
    assert seen in (before, before | flight)
    state.update(seen)
    standing = {name: number for name, number in seen.items() if number is not None}
    assert snapshot.n_documents == len(standing)
    chunks = [chunk for name, number in standing.items() for chunk in document(name, number)[1]]
    held = snapshot.chunks(snapshot.keys())
    assert sorted(c.chunk_id for c in held) == sorted(c.chunk_id for c in chunks)
    for name in seen:
        keys, _ = snapshot.lexical(parse(name), k=50)
        expected = {c.chunk_id for c in chunks if name in c.text.split()}
        assert {c.chunk_id for c in snapshot.chunks(keys)} == expected


def check_vectors(store: Store) -> None:
    """Every chunk has its own passage's vector after the missing ones are encoded."""
    missing = store.missing_vectors(10_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    snapshot = store.snapshot()
    assert snapshot.n_missing == 0
    keys = snapshot.keys()
    expected = encode(tuple(chunk.text for chunk in snapshot.chunks(keys)))
    np.testing.assert_allclose(snapshot.vectors(keys), expected, atol=2e-3)
    assert store.check() == []


def version_of(snapshot: object, name: str) -> int | None:
    from fingerpost.errors import NotFoundError

    try:
        found = snapshot.document(name)  # type: ignore[attr-defined]
    except NotFoundError:
        return None
    assert found == document(name, int(found.metadata["version"]))[0]
    return int(found.metadata["version"])


def campaign(folder: Path, *, kills: int, seed: int) -> int:
    """Kill a writer again and again; returns how many writes were acknowledged."""
    choice, state, acknowledged = random.Random(seed), State(), 0
    for number in range(kills):
        journal = run_and_kill(folder, seed * 10_000 + number, choice.uniform(0.0, 0.3))
        acknowledged += sum("done" in line for line in journal)
        flight = replay(state, journal)
        with Store.open(folder) as reader:
            check_whole(reader, dict(state), flight)
        with Store.open(folder, write=True) as store:
            check_whole(store, state, flight)
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
