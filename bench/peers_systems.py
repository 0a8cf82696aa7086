"""One peer on one set, in the peers' own environment; started by bench/peers.py.

    ../peers/bin/python bench/peers_systems.py lancedb bench/cache/peers/scifact

The folder holds what every peer is given: ``passages.jsonl`` (doc_id, text of each chunk), ``vectors.npy``
(float32 [n, 384], of length one), ``queries.jsonl`` and ``query_vectors.npy``. Each leg brings 100 chunks
(LanceDB and txtai have one limit for legs and result: 200). Written: ``<peer>.npz`` with the rankings
(chunks, best first, -1 behind the last) and milliseconds a query (wall clock, processor), given the query's
vector. Haystack reads every document for every question in Python, half a second of it, and gets only the
first 150 questions.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEG, MOST = 100, 200
RRF_K = 60
WARM = 10

Vectors = NDArray[np.float32]
Search = Callable[[str, Vectors], Sequence[int]]


def exact_bm25s(texts: list[str], vectors: Vectors, queries: dict[str, Vectors]) -> Search:
    """Exact dot products (as sentence_transformers.util.semantic_search) and bm25s, reciprocal ranks."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    engine.index(tokens, show_progress=False)
    deep = min(LEG, len(texts))

    def search(text: str, vector: Vectors) -> Sequence[int]:
        scores = vectors @ vector
        near = np.argpartition(-scores, deep - 1)[:deep]
        near = near[np.argsort(-scores[near], kind="stable")]
        asked = bm25s.tokenize([text], stopwords="en", stemmer=stemmer, show_progress=False)
        found, known = engine.retrieve(asked, k=deep, show_progress=False)
        return reciprocal(near.tolist(), found[0][known[0] > 0].tolist())

    return search


def lancedb(texts: list[str], vectors: Vectors, queries: dict[str, Vectors]) -> Search:
    """LanceDB: exact vector search (no ANN index), its own full-text index with stemming, RRFReranker."""
    import lancedb
    import pyarrow as pa
    from lancedb.query import MatchQuery
    from lancedb.rerankers import RRFReranker

    columns = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    rows = pa.table({"at": pa.array(range(len(texts))), "text": texts, "vector": columns})
    table = lancedb.connect(tempfile.mkdtemp()).create_table("passages", rows)
    table.create_fts_index("text")
    ranks = RRFReranker(K=RRF_K)

    def search(text: str, vector: Vectors) -> Sequence[int]:
        asked = table.search(query_type="hybrid", vector_column_name="vector").vector(vector)
        asked = asked.text(MatchQuery(text, "text")).distance_type("dot").rerank(ranks).select(["at"])
        return asked.limit(MOST).to_arrow()["at"].to_pylist()  # type: ignore[no-any-return]

    return search


def txtai(texts: list[str], vectors: Vectors, queries: dict[str, Vectors]) -> Search:
    """txtai: hybrid index as it comes (BM25, normalised, half and half), exact FAISS."""
    from txtai import Embeddings

    known = dict(zip(texts, vectors, strict=True)) | queries
    embeddings = Embeddings(
        method="external",
        transform=lambda asked: np.stack([known[text] for text in asked]),
        hybrid=True,
        faiss={"components": "IDMap,Flat"},
    )
    embeddings.index(enumerate(texts))

    def search(text: str, vector: Vectors) -> Sequence[int]:
        return [int(at) for at, _ in embeddings.search(text, MOST)]

    return search


def haystack(texts: list[str], vectors: Vectors, queries: dict[str, Vectors]) -> Search:
    """Haystack: in-memory store, BM25 (BM25L, its default) and embedding retrievers, joined by ranks."""
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore(return_embedding=False)
    rows = zip(texts, vectors.tolist(), strict=True)
    store.write_documents([Document(id=str(at), content=t, embedding=v) for at, (t, v) in enumerate(rows)])
    words, near = InMemoryBM25Retriever(store, top_k=LEG), InMemoryEmbeddingRetriever(store, top_k=LEG)
    joined = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=MOST)

    def search(text: str, vector: Vectors) -> Sequence[int]:
        legs: list[Any] = [
            words.run(query=text)["documents"],
            near.run(query_embedding=vector.tolist())["documents"],
        ]
        return [int(document.id) for document in joined.run(documents=legs)["documents"]]

    return search


def reciprocal(*rankings: Sequence[int]) -> list[int]:
    """Reciprocal rank fusion of chunk rankings."""
    total: dict[int, float] = {}
    for ranking in rankings:
        for place, at in enumerate(ranking, start=1):
            total[at] = total.get(at, 0.0) + 1 / (RRF_K + place)
    return sorted(total, key=lambda at: (-total[at], at))


MOST_QUESTIONS = {"Haystack": 150}
PEERS = {"exact + bm25s": exact_bm25s, "LanceDB": lancedb, "txtai": txtai, "Haystack": haystack}


def run(peer: str, folder: Path) -> None:
    """Build the peer's index, ask every question once, write rankings and times."""
    passages = [json.loads(line) for line in (folder / "passages.jsonl").open()]
    asked = [json.loads(line)["text"] for line in (folder / "queries.jsonl").open()]
    asked = asked[: MOST_QUESTIONS.get(peer)]
    vectors, given = np.load(folder / "vectors.npy"), np.load(folder / "query_vectors.npy")
    texts = [passage["text"] for passage in passages]
    began = time.perf_counter()
    search = PEERS[peer](texts, vectors, dict(zip(asked, given, strict=False)))
    built = time.perf_counter() - began
    for text, vector in zip(asked[:WARM], given, strict=False):
        search(text, vector)
    found = np.full((len(asked), MOST), -1, np.int64)
    ms = np.zeros((len(asked), 2))
    for at, (text, vector) in enumerate(zip(asked, given, strict=False)):
        began = np.array([time.perf_counter(), time.process_time()])
        ranking = search(text, vector)
        ms[at] = 1000 * (np.array([time.perf_counter(), time.process_time()]) - began)
        found[at, : len(ranking)] = ranking[:MOST]
    np.savez(folder / f"{peer}.npz", found=found, ms=ms, built=built)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    run(sys.argv[1], Path(sys.argv[2]))
