"""Rings: documents that are always put together and bear one version, so that a mixed answer shows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Snapshot, Store
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from worker import DIM, PARTS, epoch_in, parts

RING = 5
ANY = np.full(DIM, DIM**-0.5, dtype=np.float32)


def ring(version: int) -> list[tuple[Document, list[Chunk]]]:
    members = []
    for at in range(RING):
        text = f"ring member {at} version v{version} " + "pad " * (version % 3)
        chunk = Chunk(f"r{at}#0", f"r{at}", 0, 0, len(text), text)
        members.append((Document(f"r{at}", text, metadata={"version": version}), [chunk]))
    return members


def put(store: Store, version: int) -> None:
    result = store.put(ring(version))
    store.put_vectors(result.keys, np.tile(ANY, (len(result.keys), 1)))


def fold(store: Store, epoch: int) -> None:
    live = store.live()
    offsets = np.array([0, len(live.keys)], dtype=np.int32)
    store.publish(Layout(live.keys, offsets, live.seq, artifacts=parts(epoch, live.keys)))


def seen(snapshot: Snapshot, *, apart: Snapshot | None = None) -> tuple[int, int | None]:
    """One look in every leg: the version and the epoch. ``apart`` breaks it: text from another view."""
    keys, _ = snapshot.lexical(parse("ring member"), k=50)
    near, _, _ = snapshot.dense(ANY, k=50)
    other = apart or snapshot
    documents = other.documents(set(other.doc_keys(other.keys()).tolist()))
    versions = {int(chunk.text.split()[4][1:]) for chunk in snapshot.chunks(keys)}
    versions |= {int(document.metadata["version"]) for document in documents}
    epochs = {epoch_in(snapshot.artifact(name)) for name in PARTS}
    assert len(keys) == len(documents) == snapshot.n_documents == RING, "not one whole ring"
    assert set(near.tolist()) <= set(keys.tolist()), "the legs see different states"
    assert len(near) in (0, RING), "the vectors of a put come one by one"
    assert (len(versions), len(epochs)) == (1, 1), f"mixed: {versions}, {epochs}"
    return versions.pop(), epochs.pop()
