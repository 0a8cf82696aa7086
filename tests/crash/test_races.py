"""Races: one writer, readers in several processes and threads, folds, promotions and rollbacks at once.

Every put writes a whole ring of documents of one version, and a look sees one ring of one version in every
leg, with learned parts of one epoch; never a version older than one seen before, or acknowledged before the
look began. A view kept on the way must tell the same at the end as at first, whatever was folded meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerpost.errors import LockedError
from fingerpost.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from rings import fold, put, seen
from worker import DIM, parts

READERS = 3


def watch(folder: Path) -> None:
    """A reading process: looks in two threads until its input ends, then tells how often it looked."""
    stop, failures, looks = threading.Event(), [], [0, 0]

    def look(at: int) -> None:
        try:
            with Store.open(folder) as store:
                kept, last, generation = store.snapshot(), -1, 0
                first = seen(kept)
                while not stop.is_set():
                    floor = int((folder.parent / "acknowledged").read_bytes() or b"0")
                    snapshot = store.snapshot()
                    version, _ = seen(snapshot)
                    assert version >= max(last, floor), f"v{version} after v{last}, v{floor} was acknowledged"
                    assert snapshot.generation >= generation, "an older generation than before"
                    last, generation = version, snapshot.generation
                    looks[at] += 1
                    if generation >= kept.generation + 3:  # outlived three publications
                        assert seen(kept) == first, "a kept view has changed"
                        kept, looks[at] = snapshot, looks[at] + 1
                        first = seen(kept)
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=look, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"looks": sum(looks), "failures": failures}), flush=True)


def acknowledge(folder: Path, version: int) -> None:
    """Say to all readers at once that this version was acknowledged."""
    path = folder.parent / "acknowledged.new"
    path.write_bytes(b"%d" % version)
    path.replace(folder.parent / "acknowledged")


def race(folder: Path, *, versions: int) -> int:
    """Write beside READERS processes of two threads each; returns how many looks there were."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with Store.create(folder, fingerprint="f", dim=DIM) as store:
        put(store, 0)
        fold(store, 0)
        acknowledge(folder, 0)
        command = [sys.executable, __file__, str(folder)]
        pipe = subprocess.PIPE
        readers = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
            for _ in range(READERS)
        ]
        for version in range(1, versions):
            put(store, version)
            acknowledge(folder, version)
            if version % 4 == 0:
                fold(store, version)
            if version % 7 == 0:
                store.republish(parts(version, store._state.generation.keys))
            if version % 25 == 0:
                store.rollback()
            if version % 10 == 0:
                with pytest.raises(LockedError):
                    Store.open(folder, write=True)
        told = [json.loads(reader.communicate()[0]) for reader in readers]
        assert not [failure for each in told for failure in each["failures"]], told
        assert store.check() == []
    return sum(each["looks"] for each in told)


def test_many_readers_beside_a_writer(memory: Path, record_property: Callable[[str, object], None]) -> None:
    looks = race(memory / "kb", versions=60)
    record_property("trials", looks)
    assert looks > 20


@pytest.mark.slow
@pytest.mark.parametrize("run", range(2))
def test_many_readers_for_long(
    memory: Path, run: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("trials", race(memory / "kb", versions=500))


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


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
