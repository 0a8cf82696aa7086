"""Router: what share of the corpus must be scored to find the exhaustive dense top-10.

    python -m bench.router [--vectors FOLDER] [--queries 600] [--index KB]
    python -m bench.router --index KB --size 1000000 [--queries 100] [--taught 1000] [--peers | --only-peers]

All documents of the retrieval sets in one index, one vector a document; the queries are the sets' test
queries. The router's head is trained on training queries only, by exhaustive search. Shares count each
chunk scored (leaves, hop and seeds; BM25 itself multiplies no vectors); ``products`` is what scoring the
leaves costs, in the same unit, and ``all`` the sum. IVF and HNSW are those of faiss over the same vectors.
``--vectors`` takes a folder of ``<set>.npz`` with D, Q, docs and queries; without it they are encoded and
kept. ``--index`` takes the chunks, leaves and BM25 of a compiled index instead (such as that of
``bench.speed``, which holds every set), with the same queries; ``--size`` so many chunks grown from them
(see ``bench.grown``), with the neighbour graph of the chunks that hops start from, a head trained by as many
questions as ``--taught`` says, IVF and HNSW if there are to be ``--peers``; ``--only-peers`` adds those two
to what was written before. Steps done are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import bm25s
import numpy as np

import fingerpost
from bench import curves, grown
from bench.common import CACHE, RESULTS, data_folder, table, write
from bench.curves import K
from fingerpost.config import Settings
from fingerpost.models.encoder import load_encoder
from fingerpost.route import address, graph, train
from fingerpost.route.descent import Adam
from fingerpost.route.router import TEMPERATURE, Router, softmax, worked_out
from fingerpost.store.snapshot import Snapshot
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4", "medquad", "cosqa", "spider-tables")
TARGET = 0.95
HEADER = ("router", "recall at 1 %", "2 %", "5 %", "10 %", f"share for {TARGET}", "products", "all")
OTHER = 16_000_000
"""Numbers (64 MB) that push what a plan reads out of the processor's caches."""


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


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", type=Path, default=CACHE / "vectors")
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--index", type=Path)
    parser.add_argument("--size", type=int)
    parser.add_argument("--taught", type=int, default=0)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only-peers", action="store_true")
    options = parser.parse_args()
    sets = options.sets.split(",")
    if options.only_peers:
        measure_peers(options.index, options.size, sets, options.queries)
        return
    if options.size:
        measure_grown(options.index, options.size, sets, options)
        return
    corpus = (
        opened(options.index, sets, options.queries)
        if options.index
        else load(options.vectors, sets, options.queries)
    )
    facts, rows = measure(corpus)
    print(f"{facts}\n")
    print(table(HEADER, rows))
    part = "index" if options.index else ""
    write("router", {**facts, "rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}, part=part)


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
        asked = [_asked(name, count) for name in sets]
        texts = [list(chain.from_iterable(part)) for part in zip(*asked, strict=True)]
        encoded = [np.stack([encoder.encode_query(text).vector for text in part]) for part in texts]
        lexical = [np.stack([_best(snapshot, row, text) for text in part]) for part in texts]
        offsets = np.searchsorted(snapshot.leaf_of(keys), np.arange(router.n_leaves + 1)).astype(np.int32)
        means = router.statistics.mean / np.linalg.norm(router.statistics.mean, axis=1, keepdims=True)
        laid = address.Addresses(np.arange(len(keys)), offsets, router.addresses, means)
    return Corpus(vectors, laid, *encoded, *lexical, encoded[1] @ vectors.astype(np.float32).T)


def measure_grown(kb: Path, size: int, sets: list[str], options: argparse.Namespace) -> None:
    """The same on chunks grown from those of an index; what is known is written as soon as it is."""
    count, taught = options.queries, options.taught
    made = grown.laid_once(kb, size)
    asked = [
        list(chain.from_iterable(part))
        for part in zip(*(_asked(s, count, taught) for s in sets), strict=True)
    ]
    encoder = load_encoder(Settings().models, threads=1)
    if encoder is None:
        raise SystemExit("this benchmark needs an encoder")
    encoded = [
        np.stack([encoder.encode_query(text).vector for text in part] or [np.zeros(384)]) for part in asked
    ]
    lexical = [
        grown.best_by_words(kb, made.plan, part) if part else np.zeros((1, 100), int) for part in asked
    ]
    exact = np.concatenate(
        [encoded[1] @ made.vectors[at : at + 65_536].astype(np.float32).T for at in range(0, size, 65_536)],
        axis=1,
    )
    corpus = Corpus(made.vectors, made.laid, *encoded, *lexical, exact)
    truth = np.argsort(-exact, axis=1, kind="stable")[:, :K] if size < 65_536 else _top(exact)
    started = time.process_time()
    plain = grown.router_once(made)
    facts: dict[str, object] = {
        "chunks": size, "leaves": len(made.laid.addresses), "test_queries": len(truth), "taught": taught,
        "made_s": made.seconds, "statistics_s": round(time.process_time() - started, 1),
    }  # fmt: skip
    docs = np.arange(size)
    test = train.labelled(encoded[1], truth, made.laid.leaf_offsets, docs, corpus.votes(corpus.test_lexical))
    routers = {"optimist (untrained)": plain}
    examples = None
    if taught:
        examples = train.examples(
            corpus.train,
            made.vectors,
            made.laid.leaf_offsets,
            docs=docs,
            votes=corpus.votes(corpus.train_lexical),
        )
        started = time.process_time()
        routers["trained"], verdict = train.leaf_head(plain, examples)
        facts |= {
            "head_s": round(time.process_time() - started, 1), "head_accepted": verdict.accepted,
            "head_held_out": [verdict.untrained, verdict.trained],
        }  # fmt: skip
    facts["plan_ms"] = _plan_ms(list(routers.values())[-1], test, size)
    orders = _orders(corpus, test, examples, routers)
    wanted = _Wanted()
    for order, _ in orders.values():
        curves.routed(corpus, truth, order, wanted, hop=True, seeds=True)
    started = time.process_time()
    edges = grown.lists_of(made, wanted.rows())
    facts |= {"listed": len(wanted.rows()), "lists_s": round(time.process_time() - started, 1)}
    facts["graph_recall"] = _graph_recall(made.vectors, edges, wanted.rows(), 100)
    rows = _variants(corpus, truth, orders, edges)
    print(f"{facts}\n\n{table(HEADER, rows)}", flush=True)
    part = _part(size)
    if options.peers:
        rows += _peers(corpus, truth, made.folder)
    result = {"rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}
    write("router", {**facts, **result}, part=part)
    facts["distances"] = dict(zip(grown.DISTANCES, grown.distances(made.vectors, encoded[1]), strict=True))
    facts["law"] = grown.law(grown.real_chunks(kb)[0], encoded[1], size)
    print(facts["distances"], facts["law"])
    write("router", {**facts, **result}, part=part)


def measure_peers(kb: Path, size: int, sets: list[str], count: int) -> None:
    """faiss's rows for the same questions, beside the rows of a result that is there."""
    made, encoder = grown.laid_once(kb, size), load_encoder(Settings().models, threads=1)
    if encoder is None:
        raise SystemExit("this benchmark needs an encoder")
    texts = list(chain.from_iterable(_asked(name, count)[1] for name in sets))
    test = np.stack([encoder.encode_query(text).vector for text in texts])
    none = np.zeros((0, 100), dtype=np.int64)
    corpus = Corpus(made.vectors, made.laid, test[:0], test, none, none, np.zeros((0, size)))
    rows = _peers(corpus, train.nearest_rows(test, made.vectors, K), made.folder)
    print(table(HEADER, rows))
    before = json.loads((RESULTS / f"router-{_part(size)}.json").read_text())
    if before["test_queries"] != len(test):
        raise SystemExit(f"the result is for {before['test_queries']} questions, not {len(test)}")
    named = {row["router"]: row for row in before.pop("rows")}
    named |= {str(row[0]): dict(zip(HEADER, row, strict=True)) for row in rows}
    others = before.pop("others", {key: before[key] for key in ("commit", "command")})
    facts = {key: value for key, value in before.items() if key not in ("commit", "command", "machine")}
    write("router", {"others": others, **facts, "rows": list(named.values())}, part=_part(size))


def _peers(corpus: Corpus, truth: np.ndarray, folder: Path | None = None) -> list[list[object]]:
    """The rows of faiss's IVF and HNSW."""
    products = len(corpus.laid.addresses) / len(corpus.vectors)
    return [
        ["IVF (faiss, as many lists)", *_row(curves.ivf(corpus, truth, folder), products)],
        ["HNSW (faiss, M 16)", *_row(curves.hnsw(corpus, truth, folder))],
    ]


def _part(size: int) -> str:
    """What a result for so many chunks is called."""
    return f"{size // 1_000_000}m" if size >= 1_000_000 else str(size)


def _top(exact: np.ndarray) -> np.ndarray:
    """The ten best rows of each query, best first."""
    rows = np.argpartition(-exact, K, axis=1)[:, :K]
    return np.take_along_axis(rows, np.argsort(-np.take_along_axis(exact, rows, axis=1), axis=1), axis=1)


class _Wanted:
    """In the place of a graph: notes whose neighbours are asked for, and knows none."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self._rows.append(rows)
        return np.full((len(rows), 1), -1)

    def rows(self) -> np.ndarray:
        """All that were asked for, ascending."""
        return np.unique(np.concatenate(self._rows))


def _best(snapshot: Snapshot, row: dict[int, int], text: str) -> np.ndarray:
    """BM25's best 100 rows; where it finds fewer, the first is repeated."""
    keys = snapshot.lexical(parsing.parse(text), k=100)[0]
    rows = np.array([row[key] for key in keys.tolist()] or [0], dtype=np.int64)
    return np.concatenate([rows, np.full(100 - len(rows), rows[0])])


def measure(corpus: Corpus) -> tuple[dict[str, object], list[list[object]]]:
    """Every router on the same queries."""
    vectors, laid = corpus.vectors, corpus.laid
    started = time.process_time()
    plain = Router.fit_statistics(vectors, laid.leaf_offsets, addresses=laid.addresses)
    statistics_s = time.process_time() - started
    started = time.process_time()
    docs = np.arange(len(vectors))
    examples = train.examples(
        corpus.train, vectors, laid.leaf_offsets, docs=docs, votes=corpus.votes(corpus.train_lexical)
    )
    labels_s = time.process_time() - started
    started = time.process_time()
    learned, verdict = train.leaf_head(plain, examples)
    head_s = time.process_time() - started
    started = time.process_time()
    edges = graph.neighbours(vectors, laid.leaf_offsets)
    graph_s = time.process_time() - started
    test = train.examples(
        corpus.test, vectors, laid.leaf_offsets, docs=docs, votes=corpus.votes(corpus.test_lexical)
    )
    truth = train.nearest_rows(corpus.test, vectors, K)
    facts: dict[str, object] = {
        "documents": len(vectors), "leaves": len(laid.addresses), "train_queries": len(corpus.train),
        "test_queries": len(corpus.test), "statistics_s": statistics_s, "labels_s": labels_s,
        "head_s": head_s,
        "graph_s": graph_s, "graph_recall": _graph_recall(vectors, edges), "head_accepted": verdict.accepted,
        "head_held_out": [verdict.untrained, verdict.trained],
        "plan_ms": _plan_ms(learned, test, len(vectors)),
    }  # fmt: skip
    return facts, _rows(corpus, test, truth, edges, plain, learned, examples)


def _plan_ms(router: Router, test: train.Examples, chunks: int) -> dict[str, float]:
    """Median processor time of a plan, one after the other and each after ``OTHER`` numbers were read."""
    routed = Settings().route.model_copy(update={"full_below": 0})
    other = np.ones(OTHER, dtype=np.float32)
    took: dict[str, list[float]] = {"at once": [], "after other work": []}
    for name, times in took.items():
        for query, votes in zip(test.queries, test.votes, strict=True):
            if name != "at once":
                other.sum()
            started = time.process_time_ns()
            router.plan(query, votes, settings=routed, n_chunks=chunks)
            times.append((time.process_time_ns() - started) / 1e6)
    return {name: round(float(np.median(times)), 3) for name, times in took.items()}


def _rows(corpus, test, truth, edges, plain, learned, examples) -> list[list[object]]:  # type: ignore[no-untyped-def]
    routers = {"optimist (untrained)": plain, "trained": learned}
    rows = _variants(corpus, truth, _orders(corpus, test, examples, routers), edges)
    rows.append(
        [
            "LADR (BM25 top 100, 16 neighbours)",
            *_row(curves.ladr(corpus, truth, edges)),
        ]
    )
    rows += _peers(corpus, truth)
    return rows


def _orders(corpus, test, examples, routers) -> dict[str, tuple[np.ndarray, int]]:  # type: ignore[no-untyped-def]
    """By name: the leaves of each query, best first, and how many products finding out takes."""
    leaves = len(corpus.laid.addresses)
    wide, few = worked_out(leaves)
    scores = {
        "oracle leaf order": (test.labels, 0),
        "centroid IVF": (test.queries @ corpus.laid.centroids.T, leaves),
    }
    if examples is not None:
        scores["linear (learning to rank)"] = (test.queries @ linear(corpus, examples).T, leaves)
    for name, router in routers.items():
        products = leaves + (2 * wide + 17 * few if router.trained else wide + 9 * few)
        scores[name] = (served(router, test), products)
    return {name: (np.argsort(-found, axis=1, kind="stable"), cost) for name, (found, cost) in scores.items()}


def _variants(corpus, truth, orders, edges) -> list[list[object]]:  # type: ignore[no-untyped-def]
    """A row of the table for each order alone, with a hop, with a hop and BM25's best."""
    rows = []
    for name, (order, products) in orders.items():
        for extra, hop, seeds in (
            ("", False, False),
            (" + hop", True, False),
            (" + hop + BM25 seeds", True, True),
        ):
            curve = curves.routed(corpus, truth, order, edges, hop=hop, seeds=seeds)
            rows.append([name + extra, *_row(curve, products / len(corpus.vectors))])
    return rows


def served(router: Router, given: train.Examples) -> np.ndarray:
    """Scores as a search computes them, one query at a time, most leaves by their bound only."""
    return np.stack([router.score(q, votes) for q, votes in zip(given.queries, given.votes, strict=True)])


def linear(corpus: Corpus, given: train.Examples) -> np.ndarray:
    """One vector a leaf, from its centroid, by cross-entropy on where the exhaustive top-k lies: [L, d].

    Learning to rank for clustering (Vecchiato et al., SIGIR 2024, arXiv:2404.11731).
    """
    weights = corpus.laid.centroids / np.float32(TEMPERATURE)
    random = np.random.default_rng(0)
    everything, stepper = np.arange(len(weights)), Adam(weights, rate=0.05, steps=400)
    for _ in range(400):
        rows = random.permutation(len(given.queries))[:512]
        slope = (softmax(given.queries[rows] @ weights.T) - given.labels[rows]) / np.float32(len(rows))
        stepper.step(everything, slope.T @ given.queries[rows])
    return weights


def _row(curve: np.ndarray, products: float = 0.0) -> list[object]:
    """Recall at four shares and the share for the target, by straight lines between what was measured; what
    scoring leaves costs, and all together.
    """
    shares, recalls = curve.mean(axis=0).T
    order = np.argsort(shares, kind="stable")
    shares, recalls = shares[order], np.maximum.accumulate(recalls[order])
    at = [
        float(np.interp(s, shares, recalls)) if shares[0] <= s <= shares[-1] else "–"
        for s in (0.01, 0.02, 0.05, 0.1)
    ]
    if recalls[-1] < TARGET:
        return [*at, f"never ({recalls[-1]:.3f})", f"{products:.1%}", "–"]
    need = float(np.interp(TARGET, recalls, shares))
    return [*at, f"{need:.1%}", f"{products:.1%}", f"{need + products:.1%}"]


def _graph_recall(
    vectors: np.ndarray, edges: np.ndarray, rows: np.ndarray | None = None, count: int = 500
) -> float:
    """Of the 16 nearest of some rows (drawn from ``rows``), the share that the graph holds."""
    known = np.arange(len(vectors)) if rows is None else rows
    some = known[np.random.default_rng(0).permutation(len(known))[:count]]
    exact = train.nearest_rows(vectors[some].astype(np.float32), vectors, 17)
    return float(
        np.mean(
            [
                len(set(e) & set(t) - {r}) / 16
                for e, t, r in zip(edges[some].tolist(), exact.tolist(), some.tolist(), strict=True)
            ]
        )
    )


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


def _asked(name: str, count: int, taught: int = 5_000) -> list[list[str]]:
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


if __name__ == "__main__":
    main()
