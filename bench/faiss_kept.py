"""IVF and HNSW of faiss over vectors sorted by leaf; built on one thread, and kept where that takes long.

A million vectors take minutes of processor time, so both are written to a folder as they grow: a run that is
cut off goes on where the last one stopped.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import faiss
import numpy as np

IVF_POINTS = 40
"""Vectors a list that train IVF's lists, where that is not all of them: faiss warns below 39."""
CONSTRUCTION = 100
"""How widely HNSW looks for the neighbours of a new vector."""
BLOCK = 65_536
SAVE_AFTER = 120.0
"""Seconds of processor time after which what is built is written."""


def ivf(vectors: np.ndarray, lists: int, folder: Path | None = None) -> faiss.Index:
    """Inverted lists, as many as there are leaves, trained on vectors drawn at random."""
    faiss.omp_set_num_threads(1)
    index = _read(folder, "ivf")
    if index is None:
        dim = vectors.shape[1]
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
        drawn = np.random.default_rng(0).permutation(len(vectors))[: max(IVF_POINTS * lists, 100_000)]
        index.train(vectors[np.sort(drawn)].astype(np.float32))
        _write(index, folder, "ivf")
    return _filled(index, vectors, folder, "ivf")


def hnsw(vectors: np.ndarray, folder: Path | None = None) -> faiss.Index:
    """A graph of 16 neighbours a vector (32 on the lowest layer)."""
    faiss.omp_set_num_threads(1)
    index = _read(folder, "hnsw")
    if index is None:
        index = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = CONSTRUCTION
    return _filled(index, vectors, folder, "hnsw")


def _filled(index: faiss.Index, vectors: np.ndarray, folder: Path | None, name: str) -> faiss.Index:
    """The index with all vectors it does not hold yet."""
    saved = time.process_time()
    for at in range(index.ntotal, len(vectors), BLOCK):
        index.add(vectors[at : at + BLOCK].astype(np.float32))
        if index.ntotal == len(vectors) or time.process_time() - saved > SAVE_AFTER:
            _write(index, folder, name)
            saved = time.process_time()
    return index


def _read(folder: Path | None, name: str) -> faiss.Index | None:
    path = None if folder is None else folder / f"{name}.faiss"
    return faiss.read_index(str(path)) if path is not None and path.exists() else None


def _write(index: faiss.Index, folder: Path | None, name: str) -> None:
    if folder is None:
        return
    faiss.write_index(index, str(folder / f"{name}.part"))
    os.replace(folder / f"{name}.part", folder / f"{name}.faiss")
