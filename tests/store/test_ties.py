"""Equal scores rank by what chunks are: a store that grew by updates ranks as one filled at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store, scoring, ties
from fingerpost.store.isolated import Isolated
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.query import parse

DIM, COUNT, K = 16, 400, 10
WORDS = ("alder", "birch", "cedar", "maple", "rowan")
QUERIES = ("alder", "birch cedar", "maple rowan alder", "alder birch cedar maple rowan")
Ranking = list[tuple[str, float]]


def text_of(at: int) -> str:
    """One of few texts of one length: whole crowds score alike."""
    return " ".join(WORDS[(at + step * (at % 3)) % len(WORDS)] for step in range(4))


def vector_of(text: str) -> np.ndarray:
    """The same vector for the same text."""
    found = np.random.default_rng(list(text.encode())).standard_normal(DIM).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found))


def put(store: Store, numbers: Sequence[int], text: Callable[[int], str] = text_of) -> None:
    """Documents of two chunks each, encoded."""
    documents = []
    for at in numbers:
        name, one = f"d{at}", text(at) + "\n"
        body = one + text(at + 1)
        cut = [(0, len(one)), (len(one), len(body))]
        chunks = [
            Chunk(f"{name}#{no}", name, no, start, end, body[start:end])
            for no, (start, end) in enumerate(cut)
        ]
        facts: dict[str, str | int | float | bool] = {"most": bool(at % 4), "few": at % 8 == 1}
        documents.append((Document(name, body, metadata=facts), chunks))
    result = store.put(documents)
    store.put_vectors(result.keys, np.stack([vector_of(one) for one in result.passages]))


def fold(store: Store, rows: Callable[[np.ndarray], np.ndarray]) -> None:
    live = store.live()
    store.publish(Layout(rows(live.keys), np.array([0, len(live.keys)], np.int32), live.seq))


def grown(folder: Path, seed: int) -> Store:
    """Every document put as something else first, replaced and put back in random order, folds between."""
    choice, store = random.Random(seed), Store.create(folder, fingerprint="m", dim=DIM)
    order = choice.sample(range(COUNT), COUNT)
    put(store, order[:300], lambda at: text_of(at + 2))
    fold(store, lambda keys: np.random.default_rng(seed).permutation(keys))
    put(store, choice.sample(order, 250))
    store.delete(f"d{at}" for at in choice.sample(order[:300], 50))
    fold(store, lambda keys: np.random.default_rng(seed + 1).permutation(keys))
    put(store, choice.sample(order, COUNT))
    return store


def named(snapshot: Snapshot, keys: np.ndarray, scores: np.ndarray) -> Ranking:
    ids = [chunk.chunk_id for chunk in snapshot.chunks(keys)]
    return list(zip(ids, scores.tolist(), strict=True))


def rankings(snapshot: Snapshot, k: int = K) -> dict[str, Ranking]:
    """What both legs say, of everything and of what a filter lets through: most of it, and little."""
    views = {name: snapshot.allow(f"{name}:true") for name in ("most", "few")} | {"all": None}
    found: dict[str, Ranking] = {}
    for text in QUERIES:
        for name, allow in views.items():
            found[f"{text}, {name}"] = named(snapshot, *snapshot.lexical(parse(text), k=k, allow=allow))
    for at in range(5):
        for name, allow in views.items():
            keys, scores, _ = snapshot.dense(vector_of(text_of(at)), k=k, allow=allow)
            found[f"{at}, {name}"] = named(snapshot, keys, scores)
    return found


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ranking]:
    with Store.create(tmp_path_factory.mktemp("ties") / "kb", fingerprint="m", dim=DIM) as store:
        put(store, range(COUNT))
        fold(store, lambda keys: keys)
        return rankings(store.snapshot())


def test_equals_are_many_and_the_cut_goes_through_them(fresh: dict[str, Ranking], tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="m", dim=DIM) as store:
        put(store, range(COUNT))
        deep = rankings(store.snapshot(), k=2 * K)
    tied = [name for name in fresh if deep[name][K - 1][1] == deep[name][K][1]]
    assert len(tied) > len(fresh) / 2


@pytest.mark.parametrize("seed", range(3))
def test_a_grown_store_ranks_equals_as_a_fresh_one(
    fresh: dict[str, Ranking], tmp_path: Path, seed: int
) -> None:
    with grown(tmp_path / "kb", seed) as store:
        fold(store, lambda keys: np.random.default_rng(seed + 2).permutation(keys))
        assert rankings(store.snapshot()) == fresh


def test_the_tail_ranks_equals_as_the_base_does(fresh: dict[str, Ranking], tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="m", dim=DIM) as store:
        put(store, random.Random(5).sample(range(COUNT), COUNT))
        assert store.snapshot().n_fresh == 2 * COUNT
        assert rankings(store.snapshot()) == fresh


def test_strict_isolation_ranks_equals_so_too(fresh: dict[str, Ranking], tmp_path: Path) -> None:
    with grown(tmp_path / "kb", 7) as store:
        found = Isolated(store.snapshot(), None)
        mine = [[name for name, _ in named(found, *found.lexical(parse(text), k=K))] for text in QUERIES]
    assert mine == [[name for name, _ in fresh[f"{text}, all"]] for text in QUERIES]


def test_chunks_of_a_document_stand_in_its_order(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="m", dim=DIM) as store:
        put(store, range(20), lambda at: "alder birch cedar")
        ids = [name for name, _ in named(store.snapshot(), *store.snapshot().lexical(parse("birch"), k=40))]
    assert [name[-2:] for name in ids] == ["#0", "#1"] * 20
    assert ids[::2] == sorted(ids[::2], key=lambda name: ties.first(name[:-2]))


def test_among_too_many_equals_the_ranking_still_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "TIED", 30)
    with Store.create(tmp_path / "kb", fingerprint="m", dim=DIM) as store:
        put(store, range(COUNT), lambda at: "alder birch cedar")
        fold(store, lambda keys: keys)
        keys, scores = store.snapshot().lexical(parse("birch"), k=K)
    assert len(keys) == K
    assert len(set(scores.tolist())) == 1


def test_a_generation_without_ties_orders_by_key(tmp_path: Path) -> None:
    with grown(tmp_path / "kb", 3) as store:
        fold(store, lambda keys: keys[::-1])
        store._state.generation.ties = None
        store._state.generation.slices.ties = store._state.generation.keys
        put(store, range(5), lambda at: "alder birch cedar")
        snapshot = store.snapshot()
        keys, scores = snapshot.lexical(parse("alder"), k=50)
        assert snapshot.ties(keys).tolist() == keys.tolist()
    pairs = list(zip((-scores).tolist(), keys.tolist(), strict=True))
    assert pairs == sorted(pairs)
