"""What every router and peer finds for what it scores: a curve a question, at several budgets.

A curve is [m, points, 2]: for each of m questions the share of the chunks scored and the recall of the
exhaustive top 10 (``truth``). IVF and HNSW are faiss's over the same vectors; their share is that of all
questions. ``corpus`` is ``bench.router_corpus.Corpus``.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from bench import faiss_kept

SHARES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
SEEDS = 20
K = 10


def routed(corpus, truth, order, edges, *, hop, seeds) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Each question's share scored and recall at every one of ``SHARES``, [m, S, 2]: leaves stay open from
    one to the next.
    """
    offsets, total = corpus.laid.leaf_offsets.astype(np.int64), len(corpus.vectors)
    found_of = np.zeros((len(truth), len(SHARES), 2))
    asked = zip(found_of, corpus.exact, order, truth, corpus.test_lexical, strict=True)
    for values, exact, leaves, right, lexical in asked:
        held, opened = np.cumsum(np.diff(offsets)[leaves]), 0
        scored = np.zeros(total, dtype=np.bool_)
        given = np.unique(lexical[:SEEDS]) if seeds else lexical[:0]
        best = given
        for at, share in enumerate(SHARES):
            count = max(1, int(np.searchsorted(held, share * total, side="right")))
            for leaf in leaves[opened:count].tolist():
                scored[offsets[leaf] : offsets[leaf + 1]] = True
                best = np.append(best, np.arange(offsets[leaf], offsets[leaf + 1]))
            best, opened = _nearest(exact, np.unique(best)) if hop else given, count
            beyond = np.unique(edges[np.append(best, given)]) if hop else lexical[:0]
            beyond = np.union1d(beyond[beyond >= 0], given)
            beyond = beyond[~scored[beyond]]
            values[at] = (
                (held[count - 1] + len(beyond)) / total,
                (scored[right] | np.isin(right, beyond)).mean(),
            )
    return found_of


def ladr(corpus, truth, edges) -> np.ndarray:  # type: ignore[no-untyped-def]
    """BM25's best and their neighbours, for several depths: [m, 4, 2]."""
    values = []
    for right, lexical in zip(truth, corpus.test_lexical, strict=True):
        values.append([])
        for count in (10, 20, 50, 100):
            near = np.unique(edges[lexical[:count]])
            rows = np.union1d(lexical[:count], near[near >= 0])
            values[-1].append((len(rows) / len(corpus.vectors), np.isin(right, rows).mean()))
    return np.array(values)


def ivf(corpus, truth, folder: Path | None = None) -> np.ndarray:  # type: ignore[no-untyped-def]
    """IVF of faiss, for several probes: [m, P, 2], the share that of all questions; kept in ``folder``."""
    lists = len(corpus.laid.addresses)
    index = faiss_kept.ivf(corpus.vectors, lists, folder)
    values = []
    for probes in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        index.nprobe = min(probes, lists)
        faiss.cvar.indexIVF_stats.reset()
        _, found = index.search(corpus.test, K)
        share = faiss.cvar.indexIVF_stats.ndis / len(corpus.test) / len(corpus.vectors)
        values.append([(share, np.isin(t, f).mean()) for t, f in zip(truth, found, strict=True)])
    return np.array(values).swapaxes(0, 1)


def hnsw(corpus, truth, folder: Path | None = None) -> np.ndarray:  # type: ignore[no-untyped-def]
    """HNSW of faiss, for several widths: [m, W, 2], the share that of all questions; kept in ``folder``."""
    index = faiss_kept.hnsw(corpus.vectors, folder)
    values = []
    for width in (10, 16, 32, 64, 128, 256, 512, 1024, 2048):
        index.hnsw.efSearch = width
        faiss.cvar.hnsw_stats.reset()
        _, found = index.search(corpus.test, K)
        share = faiss.cvar.hnsw_stats.ndis / len(corpus.test) / len(corpus.vectors)
        values.append([(share, np.isin(t, f).mean()) for t, f in zip(truth, found, strict=True)])
    return np.array(values).swapaxes(0, 1)


def _nearest(exact: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return rows[np.argpartition(-exact[rows], SEEDS - 1)[:SEEDS]] if len(rows) > SEEDS else rows
