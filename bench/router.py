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
import time
from pathlib import Path

import numpy as np

from bench import curves
from bench.common import CACHE, table, write
from bench.curves import K
from bench.router_corpus import SETS, Corpus, load, opened
from bench.router_grown import measure_grown, measure_peers
from bench.router_rows import HEADER, graph_recall, orders_of, peers, plan_ms, row_of, variants
from fingerpost.route import graph, train
from fingerpost.route.router import Router


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
        "graph_s": graph_s, "graph_recall": graph_recall(vectors, edges), "head_accepted": verdict.accepted,
        "head_held_out": [verdict.untrained, verdict.trained],
        "plan_ms": plan_ms(learned, test, len(vectors)),
    }  # fmt: skip
    return facts, _rows(corpus, test, truth, edges, plain, learned, examples)


def _rows(corpus, test, truth, edges, plain, learned, examples) -> list[list[object]]:  # type: ignore[no-untyped-def]
    routers = {"optimist (untrained)": plain, "trained": learned}
    rows = variants(corpus, truth, orders_of(corpus, test, examples, routers), edges)
    rows.append(
        [
            "LADR (BM25 top 100, 16 neighbours)",
            *row_of(curves.ladr(corpus, truth, edges)),
        ]
    )
    rows += peers(corpus, truth)
    return rows


if __name__ == "__main__":
    main()
