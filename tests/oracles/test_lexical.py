"""The lexical leg against bm25s' Lucene method on the same tokens, before and after a fold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bm25s
import numpy as np
import pytest

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store
from fingerpost.text.query import parse
from fingerpost.text.tokens import analyze

K = 10


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> tuple[list[str], list[str]]:
    """Texts and questions of SciFact: two thousand abstracts, two hundred claims."""
    documents = lines(shared_data / "scifact" / "corpus.jsonl")[:2_000]
    questions = lines(shared_data / "scifact" / "queries.jsonl")[:200]
    return [f"{d['title']}\n{d['text']}" for d in documents], [q["text"] for q in questions]


@pytest.fixture(scope="module")
def store(corpus: tuple[list[str], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.create(tmp_path_factory.mktemp("oracle") / "kb", fingerprint="none", dim=0) as store:
        store.put(
            (Document(f"d{at}", text), [Chunk(f"d{at}#0", f"d{at}", 0, 0, len(text), text)])
            for at, text in enumerate(corpus[0])
        )
        yield store


def overlaps(store: Store, corpus: tuple[list[str], list[str]]) -> tuple[float, float]:
    """Mean top-10 overlap with bm25s, and the spread of the ratio of scores (Lucene's omits k1 + 1)."""
    terms = [list(parse(text).terms) for text in corpus[1]]
    oracle = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    oracle.index([analyze(text) for text in corpus[0]], show_progress=False)
    expected, scores = oracle.retrieve(terms, k=K, show_progress=False)
    snapshot = store.snapshot()
    shares, ratios = [], []
    for at, text in enumerate(corpus[1]):
        query = parse(text)
        keys, found = snapshot.lexical(type(query)(query.text, query.terms, ()), k=K)
        shares.append(len(set((keys - 1).tolist()) & set(expected[at].tolist())) / K)
        ratios.append(found[0] / scores[at][0])
    return float(np.mean(shares)), float(np.std(ratios))


def test_the_tail_and_the_base_rank_as_lucene_does(store: Store, corpus: tuple[list[str], list[str]]) -> None:
    tail, spread = overlaps(store, corpus)
    assert tail >= 0.95
    assert spread < 0.1
    before = [store.snapshot().lexical(parse(text), k=K) for text in corpus[1][:50]]
    live = store.live()
    store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
    base, _ = overlaps(store, corpus)
    assert base >= 0.95
    after = [store.snapshot().lexical(parse(text), k=K) for text in corpus[1][:50]]
    for (_, one), (_, two) in zip(before, after, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4)


def test_half_in_the_base_and_half_in_the_tail_is_one_ranking(
    store: Store, corpus: tuple[list[str], list[str]]
) -> None:
    whole = [store.snapshot().lexical(parse(text), k=K) for text in corpus[1]]
    texts = corpus[0][1_000:]
    store.delete(f"d{at}" for at in range(1_000, len(corpus[0])))
    live = store.live()
    store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
    store.put(
        (Document(f"d{at}", text), [Chunk(f"d{at}#0", f"d{at}", 0, 0, len(text), text)])
        for at, text in enumerate(texts, start=1_000)
    )
    snapshot = store.snapshot()
    assert snapshot.n_fresh == len(texts)
    shares = []
    for text, (keys, _) in zip(corpus[1], whole, strict=True):
        found, _ = snapshot.lexical(parse(text), k=K)
        moved = np.where(keys > 1_000, keys + len(texts), keys)
        shares.append(len(set(found.tolist()) & set(moved.tolist())) / K)
    assert np.mean(shares) >= 0.95
