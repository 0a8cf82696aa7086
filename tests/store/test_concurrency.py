"""Readers beside a writer, in threads: every answer is of one state, and nothing fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tests.crash.rings import RING, fold, put, ring, seen
from tests.crash.worker import DIM
from tests.index.build.test_folding import PATIENCE, Gate

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store

ENOUGH = 10
"""Versions that readers see at least."""


def write(store: Store, stop: threading.Event, least: int, looked_at: list[int]) -> None:
    """That many versions, and more until readers have seen enough of them."""
    version = 0
    while (version < least or len(set(looked_at)) <= ENOUGH) and not stop.is_set():
        version += 1
        put(store, version)
        if version % 7 == 0:
            fold(store, version)
        if version % 23 == 0:
            store.rollback()
    stop.set()


def test_readers_beside_a_writer_see_one_state_each(tmp_path: Path) -> None:
    """In threads; tests/crash/test_races.py does it across processes."""
    stop, failures, versions = threading.Event(), [], []

    def reader(store: Store) -> None:
        last = 0
        try:
            while not stop.is_set():
                version, _ = seen(store.snapshot())
                assert version >= last, "a later snapshot is never older"
                last = version
                versions.append(version)
        except BaseException as error:
            failures.append(error)
            stop.set()

    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        put(store, 0)
        with Store.open(tmp_path / "kb") as other:
            threads = [threading.Thread(target=reader, args=(held,)) for held in (store, store, other)]
            for thread in threads:
                thread.start()
            write(store, stop, 60, versions)
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        assert store.check() == []


def test_a_writer_waits_for_nobody_while_a_fold_runs(tmp_path: Path) -> None:
    """It stands still half-way until some were written, and goes on beside others."""
    gate = Gate("fold.sealed")
    Store.create(tmp_path / "kb", fingerprint="none", dim=0).close()
    with ThreadPoolExecutor(1) as beside, Store.open(tmp_path / "kb", write=True, points=gate) as store:
        for start in range(0, 1_000, 100):
            texts = [f"text number {at} " + "word " * 200 for at in range(start, start + 100)]
            store.put(
                (Document(f"d{start + i}", t), [Chunk(f"d{start + i}#0", f"d{start + i}", 0, 0, len(t), t)])
                for i, t in enumerate(texts)
            )
        live = store.live()
        layout = Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq)
        publishing = beside.submit(store.publish, layout)
        assert gate.reached.wait(PATIENCE)
        for version in range(3):
            store.put(ring(version))
        assert store.snapshot().generation == 0
        gate.open.set()
        while not publishing.done():
            store.put(ring(version := version + 1))
        assert publishing.result() == store.snapshot().generation == 1
        assert store.snapshot().n_documents == 1_000 + RING
        assert store.check() == []
