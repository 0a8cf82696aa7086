"""Power loss: every disk that a cut may leave opens, holds what was acknowledged, and answers right.

A writer runs under strace, which records what reaches the operating system; from the record the disks are
built that a power cut at each moment may leave, and each is opened. Recording below Python sees what SQLite
and tantivy do as well.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.seeds import seeds

from fingerpost.errors import CorruptError, FingerpostError
from fingerpost.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from broken import POWER  # noqa: E402
from oracle import Oracle, check_vectors  # noqa: E402
from power import Disk, Tree, cuts, digest, lay_out  # noqa: E402
from recorder import Recording, Said, record  # noqa: E402
from worker import DIM, document, opened  # noqa: E402


def recorded(folder: Path, seed: int, steps: int, *, broken: str = "") -> Recording:
    """What a writer of so many steps did; ``broken`` names what it leaves out."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("tracing is not permitted here")
    folder.mkdir()
    script = [str(HERE / "broken.py"), broken] if broken else [str(HERE / "worker.py")]
    command = [sys.executable, *script, str(folder / "kb"), str(seed), str(steps)]
    return record(command, root=folder, log=folder.with_suffix(".trace"))


@dataclass(frozen=True)
class Moment:
    """A disk that a power cut may leave, what must be on it, and whether the index had been made by then."""

    name: str
    tree: Tree
    oracle: Oracle
    ready: bool


def moments(
    recording: Recording, *, seed: int, share: float, count: int, drawn: list[str] | None = None
) -> Iterator[Moment]:
    """Different disks, after a random ``share`` of all operations. ``drawn`` takes the name of every cut that
    was drawn: several may leave the same disk, which is tried once.
    """
    choice, seen = random.Random(seed), set()
    disk, oracle, ready = Disk({number: {} for number in recording.folders}), Oracle(), False
    for number, operation in enumerate(recording.operations):
        disk.follow(number, operation)
        if isinstance(operation, Said):
            line = json.loads(operation.text)
            ready = ready or "ready" in line
            oracle.hear(line)
        if choice.random() < share:
            for kind, tree in cuts(disk, choice, count):
                key = digest(tree), repr(oracle)
                if drawn is not None:
                    drawn.append(kind)
                if key not in seen:
                    seen.add(key)
                    yield Moment(f"{kind} after operation {number}", tree, deepcopy(oracle), ready)


def survive(folder: Path, moment: Moment) -> None:
    """Open a disk, compare it with what must be there, and go on writing."""
    lay_out(moment.tree, folder)
    oracle = deepcopy(moment.oracle)
    try:
        with Store.open(folder / "kb") as reader:
            oracle.settle(reader)
    except FingerpostError as error:
        if moment.ready:
            raise AssertionError(f"it does not open: {error}") from error
    with opened(folder / "kb") as store:
        store.put([document("doc0", 9)])
        oracle.documents["doc0"] = 9
        check_vectors(store)
        oracle.settle(store, files=False)


def campaign(folder: Path, recording: Recording, *, seed: int, share: float, count: int) -> dict[str, int]:
    """Survive them all; returns how many disks there were, and of how many cuts."""
    tried, drawn = 0, list[str]()
    for moment in moments(recording, seed=seed, share=share, count=count, drawn=drawn):
        place = folder / f"state-{tried}"
        place.mkdir()
        try:
            survive(place, moment)
        except (AssertionError, FingerpostError) as error:
            raise AssertionError(f"{moment.name}, seed {seed}: {error}") from error
        # tantivy watches meta.json: it may take its lock, a file, in a folder that is being removed
        shutil.rmtree(place, ignore_errors=True)
        tried += 1
    return {"trials": tried, "cuts": len(drawn)}


def test_power_cuts(memory: Path, record_property: Callable[[str, object], None]) -> None:
    recording = recorded(memory / "run", 1, 40)
    tried = campaign(memory, recording, seed=1, share=0.012, count=4)
    record_property("trials", tried["trials"])
    record_property("cuts", tried["cuts"])
    assert tried["trials"] > 80


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 42))
def test_many_power_cuts(memory: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    record_property("seed", seed)
    recording = recorded(memory / "run", seed, 60)
    for name, count in campaign(memory, recording, seed=seed, share=0.06, count=4).items():
        record_property(name, count)


@pytest.mark.parametrize("guard", [each.__name__ for each in POWER])
def test_a_missing_guard_is_caught(
    memory: Path, guard: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("control", guard.replace("_", " "))
    recording = recorded(memory / "run", 1, 40, broken=guard)
    with pytest.raises(AssertionError, match="seed 1"):
        campaign(memory, recording, seed=1, share=0.1, count=2)


def test_an_index_whose_making_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    Store.create(tmp_path, fingerprint="f", dim=DIM).close()
    with Store.open(tmp_path, write=True) as store:
        store.put([document("doc0", 1)])
    (tmp_path / "MANIFEST").unlink()
    for path in tmp_path.glob("ledger.db*"):
        path.write_bytes(b"")
    with pytest.raises(CorruptError, match="acknowledged"):
        Store.create(tmp_path, fingerprint="f", dim=DIM)
