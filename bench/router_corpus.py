"""What the router's benchmarks look through: the retrieval sets as vectors, leaves and BM25's best."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import bm25s
import numpy as np

import fingerpost
from bench.common import data_folder
from fingerpost.config import Settings
from fingerpost.models.encoder import load_encoder
from fingerpost.route import address
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4", "medquad", "cosqa", "spider-tables")


@dataclass(frozen=True)
class Corpus:
    """Vectors of documents (sorted by leaf), of training and test queries, and BM25's best rows for both."""

    vectors: np.ndarray
    laid: address.Addresses
    train: np.ndarray
    test: np.ndarray
    train_lexical: np.ndarray
    test_lexical: np.ndarray
    exact: np.ndarray
    """Every test query's cosine to every document, [m, N]: what scoring would give, looked up."""

    def votes(self, lexical: np.ndarray) -> np.ndarray:
        """How many of BM25's best lie in each leaf: [m, L]."""
        leaf = np.searchsorted(self.laid.leaf_offsets[1:], lexical, side="right")
        found = np.zeros((len(lexical), len(self.laid.addresses)), np.float32)
        np.add.at(found, (np.arange(len(lexical))[:, None], leaf), 1.0)
        return found


def load(folder: Path, sets: list[str], count: int) -> Corpus:
    """Vectors (encoded where the folder has none), laid out in leaves, and BM25's top 100."""
    parts = [_set(folder, name, count) for name in sets]
    columns = list(zip(*parts, strict=True))
    documents, training, testing = (np.concatenate(column) for column in columns[:3])
    texts, asked, tested = (list(chain.from_iterable(column)) for column in columns[3:])
    laid = address.build(documents, leaf_chunks=Settings().route.leaf_chunks, seed=0)
    texts = [texts[row] for row in laid.order]
    lexical = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    lexical.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    best = [_lexical(lexical, queries) for queries in (asked, tested)]
    documents = documents[laid.order]
    return Corpus(documents, laid, training, testing, *best, testing @ documents.astype(np.float32).T)


def opened(kb: Path, sets: list[str], count: int) -> Corpus:
    """The vectors and leaves of an index, its own BM25, and the sets' queries encoded by its encoder."""
    with fingerpost.open(kb) as index:
        rooms = index._rooms
        snapshot, encoder = rooms.store.snapshot(), rooms.encoder
        router = rooms.epoch(snapshot).router
        if encoder is None or router is None:
            raise SystemExit(f"{kb} has no router")
        keys = snapshot.keys()
        vectors, row = rooms.store.vectors(keys), {key: at for at, key in enumerate(keys.tolist())}
        asked = [asked_of(name, count) for name in sets]
        texts = [list(chain.from_iterable(part)) for part in zip(*asked, strict=True)]
        encoded = [np.stack([encoder.encode_query(text).vector for text in part]) for part in texts]
        lexical = [np.stack([_best(snapshot, row, text) for text in part]) for part in texts]
        offsets = np.searchsorted(snapshot.leaf_of(keys), np.arange(router.n_leaves + 1)).astype(np.int32)
        means = router.statistics.mean / np.linalg.norm(router.statistics.mean, axis=1, keepdims=True)
        laid = address.Addresses(np.arange(len(keys)), offsets, router.addresses, means)
    return Corpus(vectors, laid, *encoded, *lexical, encoded[1] @ vectors.astype(np.float32).T)


def _best(snapshot: Snapshot, row: dict[int, int], text: str) -> np.ndarray:
    """BM25's best 100 rows; where it finds fewer, the first is repeated."""
    keys = snapshot.lexical(parsing.parse(text), k=100)[0]
    rows = np.array([row[key] for key in keys.tolist()] or [0], dtype=np.int64)
    return np.concatenate([rows, np.full(100 - len(rows), rows[0])])


def _set(folder: Path, name: str, count: int):  # type: ignore[no-untyped-def]
    records = {part: _lines(data_folder() / name / f"{part}.jsonl") for part in ("corpus", "queries")}
    path = folder / f"{name}.npz"
    if not path.exists():
        _encode(path, records)
    stored = np.load(path)
    place = {query: at for at, query in enumerate(stored["queries"].tolist())}
    said = {record["_id"]: record["text"] for record in records["queries"]}
    text = {record["_id"]: f"{record['title']} {record['text']}" for record in records["corpus"]}
    chosen = _drawn(name, count)
    vectors = [stored["Q"][[place[q] for q in ids]].astype(np.float32) for ids in chosen]
    words = [[said[q] for q in ids] for ids in chosen]
    return stored["D"].astype(np.float16), *vectors, [text[d] for d in stored["docs"].tolist()], *words


def _drawn(name: str, count: int, taught: int = 5_000) -> list[list[str]]:
    """Ids of training and of test queries, by a seeded draw."""
    random = np.random.default_rng(0)
    chosen = []
    for split, most in (("train", taught // 5), ("test", count // 5)):
        with (data_folder() / name / "qrels" / f"{split}.tsv").open() as file:
            ids = sorted({row["query-id"] for row in csv.DictReader(file, delimiter="\t")})
        chosen.append([ids[at] for at in sorted(random.permutation(len(ids))[:most])])
    return chosen


def asked_of(name: str, count: int, taught: int = 5_000) -> list[list[str]]:
    """The texts of ``_drawn``."""
    said = {record["_id"]: record["text"] for record in _lines(data_folder() / name / "queries.jsonl")}
    return [[said[query_id] for query_id in ids] for ids in _drawn(name, count, taught)]


def _encode(path: Path, records: dict[str, list[dict[str, str]]]) -> None:
    encoder = load_encoder(Settings().models, threads=1)
    if encoder is None:
        raise SystemExit("this benchmark needs an encoder")
    documents = [f"{record['title']} {record['text']}".strip() for record in records["corpus"]]
    queries = [record["text"] for record in records["queries"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        D=encoder.encode_passages(documents).vectors.astype(np.float16),
        Q=np.stack([encoder.encode_query(text).vector for text in queries]).astype(np.float16),
        docs=np.array([record["_id"] for record in records["corpus"]]),
        queries=np.array([record["_id"] for record in records["queries"]]),
    )


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [json.loads(line) for line in file]


def _lexical(index: bm25s.BM25, queries: list[str]) -> np.ndarray:
    tokens = bm25s.tokenize(queries, stopwords="en", show_progress=False)
    return np.asarray(index.retrieve(tokens, k=100, show_progress=False)[0], dtype=np.int64)
