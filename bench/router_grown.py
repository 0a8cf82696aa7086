"""The router's table over more chunks than there are: grown from those of an index (see ``bench.grown``)."""

from __future__ import annotations

import argparse
import json
import time
from itertools import chain
from pathlib import Path

import numpy as np

from bench import curves, grown
from bench.common import RESULTS, table, write
from bench.curves import K
from bench.router_corpus import Corpus, asked_of
from bench.router_rows import HEADER, graph_recall, orders_of, peers, plan_ms, variants
from fingerpost.config import Settings
from fingerpost.models.encoder import load_encoder
from fingerpost.route import train


def measure_grown(kb: Path, size: int, sets: list[str], options: argparse.Namespace) -> None:
    """The same on chunks grown from those of an index; what is known is written as soon as it is."""
    count, taught = options.queries, options.taught
    made = grown.laid_once(kb, size)
    asked = [
        list(chain.from_iterable(part))
        for part in zip(*(asked_of(s, count, taught) for s in sets), strict=True)
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
    facts["plan_ms"] = plan_ms(list(routers.values())[-1], test, size)
    orders = orders_of(corpus, test, examples, routers)
    wanted = _Wanted()
    for order, _ in orders.values():
        curves.routed(corpus, truth, order, wanted, hop=True, seeds=True)
    started = time.process_time()
    edges = grown.lists_of(made, wanted.rows())
    facts |= {"listed": len(wanted.rows()), "lists_s": round(time.process_time() - started, 1)}
    facts["graph_recall"] = graph_recall(made.vectors, edges, wanted.rows(), 100)
    rows = variants(corpus, truth, orders, edges)
    print(f"{facts}\n\n{table(HEADER, rows)}", flush=True)
    part = _part(size)
    if options.peers:
        rows += peers(corpus, truth, made.folder)
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
    texts = list(chain.from_iterable(asked_of(name, count)[1] for name in sets))
    test = np.stack([encoder.encode_query(text).vector for text in texts])
    none = np.zeros((0, 100), dtype=np.int64)
    corpus = Corpus(made.vectors, made.laid, test[:0], test, none, none, np.zeros((0, size)))
    rows = peers(corpus, train.nearest_rows(test, made.vectors, K), made.folder)
    print(table(HEADER, rows))
    before = json.loads((RESULTS / f"router-{_part(size)}.json").read_text())
    if before["test_queries"] != len(test):
        raise SystemExit(f"the result is for {before['test_queries']} questions, not {len(test)}")
    named = {row["router"]: row for row in before.pop("rows")}
    named |= {str(row[0]): dict(zip(HEADER, row, strict=True)) for row in rows}
    others = before.pop("others", {key: before[key] for key in ("commit", "command")})
    facts = {key: value for key, value in before.items() if key not in ("commit", "command", "machine")}
    write("router", {"others": others, **facts, "rows": list(named.values())}, part=_part(size))


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
