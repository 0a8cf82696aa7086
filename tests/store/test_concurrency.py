"""Readers beside a writer, in threads: every answer is of one state, and nothing fails."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store
from fingerpost.text.query import parse

RING = 6
DIM = 8


def ring(version: int) -> list[tuple[Document, list[Chunk]]]:
    """Documents that are always put together and bear one version."""
    members = []
    for at in range(RING):
        text = f"ring member {at} version v{version} " + "pad " * (version % 3)
        chunk = Chunk(f"r{at}#0", f"r{at}", 0, 0, len(text), text)
        members.append((Document(f"r{at}", text, metadata={"version": version}), [chunk]))
    return members


def unit(count: int) -> np.ndarray:
    return np.full((count, DIM), DIM**-0.5, dtype=np.float32)


def write(store: Store, stop: threading.Event, versions: int) -> None:
    version = 0
    while version < versions and not stop.is_set():
        version += 1
        result = store.put(ring(version))
        store.put_vectors(result.keys, unit(len(result.keys)))
        if version % 7 == 0:
            live = store.live()
            store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
        if version % 23 == 0:
            store.rollback()
    stop.set()


def read(store: Store) -> tuple[int, int]:
    """One look in every leg; returns the version seen and the generation."""
    snapshot = store.snapshot()
    keys, _ = snapshot.lexical(parse("ring member"), k=50)
    near, _, _ = snapshot.dense(unit(1)[0], k=50)
    chunks = snapshot.chunks(keys)
    versions = {chunk.text.split()[4] for chunk in chunks}
    assert (len(chunks), len(versions)) == (RING, 1), versions
    assert set(near.tolist()) <= set(keys.tolist())
    assert len(near) in (0, RING), "all vectors of a put come at once"
    documents = snapshot.documents(snapshot.doc_keys(keys).tolist())
    assert {f"v{document.metadata['version']}" for document in documents} == versions
    assert snapshot.n_documents == RING
    return int(versions.pop()[1:]), snapshot.generation


def test_readers_beside_a_writer_see_one_state_each(tmp_path: Path) -> None:
    """In threads; tests/crash/test_races.py does it across processes."""
    stop, failures, seen = threading.Event(), [], []

    def reader(store: Store) -> None:
        last = 0
        try:
            while not stop.is_set():
                version, _ = read(store)
                assert version >= last, "a later snapshot is never older"
                last = version
                seen.append(version)
        except BaseException as error:
            failures.append(error)
            stop.set()

    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        result = store.put(ring(0))
        store.put_vectors(result.keys, unit(len(result.keys)))
        with Store.open(tmp_path / "kb") as other:
            threads = [threading.Thread(target=reader, args=(held,)) for held in (store, store, other)]
            for thread in threads:
                thread.start()
            write(store, stop, 60)
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        assert len(set(seen)) > 10
        assert store.check() == []


def test_a_writer_waits_for_nobody_while_a_fold_runs(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="none", dim=0) as store:
        for start in range(0, 1_000, 100):
            texts = [f"text number {at} " + "word " * 200 for at in range(start, start + 100)]
            store.put(
                (Document(f"d{start + i}", t), [Chunk(f"d{start + i}#0", f"d{start + i}", 0, 0, len(t), t)])
                for i, t in enumerate(texts)
            )
        live = store.live()
        layout = Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq)
        fold = threading.Thread(target=store.publish, args=(layout,))
        fold.start()
        time.sleep(0.02)
        during = 0
        while fold.is_alive():
            store.put(ring(during))
            during += 1
        fold.join()
        assert store.snapshot().generation == 1
        assert store.snapshot().n_documents == 1_000 + (RING if during else 0)
        assert store.check() == []
