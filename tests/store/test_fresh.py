"""Vectors that come after their chunks: as of when an index can be folded meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fingerpost.errors import UsageError
from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store

DIM = 8


def put(store: Store, name: str, text: str) -> np.ndarray:
    """Put a document of one chunk, without its vector; the chunk's key."""
    chunk = Chunk(f"{name}#0", name, 0, 0, len(text), text)
    return store.put([(Document(name, text), [chunk])]).keys


def test_a_fold_is_of_before_a_chunk_that_ended_without_a_vector(tmp_path: Path) -> None:
    """Two versions of a page wait for their vectors; the first stood when only the second was lacking."""
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        known = put(store, "known", "a page that is encoded")
        store.put_vectors(known, np.ones((1, DIM), np.float32))
        whole = store.live().seq
        put(store, "page", "as it was first")
        between = store.live()
        put(store, "page", "as it is now")
        assert store.desk.n_missing == 1

        standing = store.live(encoded=True)

        assert (standing.seq, standing.keys.tolist()) == (whole, known.tolist())
        np.testing.assert_array_equal(store.vectors(standing.keys), np.ones((1, DIM), np.float16))
        offsets = np.array([0, len(between.keys)], dtype=np.int32)
        with pytest.raises(UsageError, match="1 chunk without a vector"):
            store.publish(Layout(between.keys, offsets, between.seq))
        store.publish(Layout(standing.keys, np.array([0, 1], np.int32), standing.seq))
        assert store.desk.n_missing == 1
