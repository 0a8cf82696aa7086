"""The legs over a small store kept in arrays: real dot products, real term counts."""

from __future__ import annotations

import numpy as np
import pytest

from fingerpost.config import RetrieveSettings
from fingerpost.records import Plan
from fingerpost.retrieve.legs import Request, gather

HYBRID = Plan(legs=("lexical", "dense", "neighbours", "memory"))
ROUTED = Plan(legs=HYBRID.legs, full=False, leaves=(0,))


class Arrays:
    """A store in memory: key i + 100, document i // 2, leaf i % 4; BM25 is a given score a chunk."""

    def __init__(self, size: int = 40) -> None:
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(size, 8)).astype(np.float32)
        self.matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.bm25 = np.where(np.arange(size) % 3 != 0, rng.random(size), 0).astype(np.float32)
        self.keys = np.arange(size, dtype=np.int64) + 100
        self.leaf = np.arange(size) % 4

    def _best(self, scores, k, allow):
        seen = np.isfinite(scores) if allow is None else np.isfinite(scores) & np.isin(self.keys, allow)
        rows = np.flatnonzero(seen)
        rows = rows[np.argsort(-scores[rows], kind="stable")][:k]
        return self.keys[rows], scores[rows].astype(np.float32)

    def lexical(self, query, *, k, allow=None):
        return self._best(np.where(self.bm25 > 0, self.bm25, np.nan), k, allow)

    def dense(self, vector, *, k, leaves, allow=None):
        inside = np.ones(len(self.keys), bool) if leaves is None else np.isin(self.leaf, leaves)
        return *self._best(np.where(inside, self.matrix @ vector, np.nan), k, allow), int(inside.sum())

    def neighbours(self, keys):
        dots = self.matrix[keys - 100] @ self.matrix.T
        near = np.argsort(-dots, axis=1)[:, 1:17] + 100
        near[:, -1] = -1
        return near

    def vectors(self, keys):
        return self.matrix[keys - 100]

    def permitted(self, keys, allow):
        return np.isin(keys, self.keys if allow is None else allow)

    def doc_keys(self, keys):
        return (keys - 100) // 2

    def ties(self, keys):
        return (keys.astype(np.uint64) * 7) % 1009


@pytest.fixture
def store() -> Arrays:
    return Arrays()


def request(store: Arrays, plan: Plan = HYBRID, **changes):
    given = {"query": "q", "vector": store.matrix[5], "plan": plan} | changes
    return Request(**given)


def test_every_candidate_has_its_exact_dense_score_whoever_found_it(store):
    found = gather(store, request(store), RetrieveSettings(depth=5)).candidates
    assert np.allclose(found.scores["dense"], store.vectors(found.keys) @ store.matrix[5])
    assert (found.docs == store.doc_keys(found.keys)).all()
    assert (np.diff(store.ties(found.keys).astype(np.int64)) > 0).all()


def test_bm25_is_missing_where_the_lexical_leg_did_not_look(store):
    found = gather(store, request(store), RetrieveSettings(depth=4)).candidates
    looked = np.isin(found.keys, store.lexical("q", k=4)[0])
    assert np.array_equal(np.isfinite(found.scores["lexical"]), looked)
    assert np.array_equal(found.scores["lexical"][looked], store.bm25[found.keys[looked] - 100])


def test_bm25_is_zero_elsewhere_when_it_has_named_all_that_match(store):
    store.bm25[:] = 0
    store.bm25[7] = 3.0
    found = gather(store, request(store), RetrieveSettings(depth=4)).candidates
    assert found.scores["lexical"].tolist() == [3.0 if key == 107 else 0.0 for key in found.keys]
    store.bm25[:] = 0
    nothing = gather(store, request(store), RetrieveSettings(depth=4)).candidates
    assert np.isnan(nothing.scores["lexical"]).all()


def test_union_holds_the_best_of_each_leg_and_counts_say_so(store):
    gathered = gather(store, request(store), RetrieveSettings(depth=4))
    lexical = store.lexical("q", k=4)[0]
    dense = store.dense(store.matrix[5], k=4, leaves=None)[0]
    assert gathered.candidates.keys.tolist() == np.union1d(lexical, dense).tolist()
    assert gathered.counts["lexical"] == gathered.counts["dense"] == 4
    assert gathered.counts["union"] == len(gathered.candidates.keys)
    assert gathered.counts["scored"] == len(store.keys)
    assert gathered.counts["neighbours"] == 0


def test_routed_search_scores_the_planned_leaves_and_hops(store):
    gathered = gather(store, request(store, ROUTED), RetrieveSettings(depth=5))
    outside = store.leaf[gathered.candidates.keys - 100] != 0
    assert 0 < gathered.counts["neighbours"] <= 5
    assert outside.any()
    without = gather(store, request(store, ROUTED), RetrieveSettings(depth=5, hop=False))
    assert without.counts["neighbours"] == 0
    assert set(without.candidates.keys) < set(gathered.candidates.keys)


def test_no_leg_brings_what_may_not_be_seen(store):
    allow = np.arange(100, 112, dtype=np.int64)
    for plan in (HYBRID, ROUTED):
        found = gather(store, request(store, plan, allow=allow), RetrieveSettings(depth=50)).candidates
        assert found.keys.max() < 112


def test_without_an_encoder_bm25_alone_answers(store):
    found = gather(store, request(store, vector=None), RetrieveSettings(depth=5)).candidates
    assert found.keys.tolist() == sorted(store.lexical("q", k=5)[0])
    assert np.isnan(found.scores["dense"]).all()


def test_memory_brings_its_shortlist(store):
    memory = (np.array([139, 101], np.int64), np.array([0.5, 0.25], np.float32))
    gathered = gather(store, request(store, memory=memory), RetrieveSettings(depth=2))
    at = np.searchsorted(gathered.candidates.keys, [101, 139])
    assert gathered.candidates.scores["memory"][at].tolist() == [0.25, 0.5]
    assert gathered.counts["memory"] == 2


def test_memory_may_not_bring_what_the_filter_hides(store):
    memory = (np.array([139], np.int64), np.array([0.5], np.float32))
    allow = np.array([100, 101], np.int64)
    found = gather(store, request(store, allow=allow, memory=memory), RetrieveSettings()).candidates
    assert 139 not in found.keys


def test_a_chunk_without_a_vector_is_neither_near_nor_far(store):
    store.matrix[3] = 0
    found = gather(store, request(store), RetrieveSettings(depth=40)).candidates
    here = found.keys == 103
    assert here.sum() == 1
    assert found.scores["dense"][here] == pytest.approx(found.scores["dense"][~here].mean())


def test_nothing_found_is_an_empty_table(store):
    allow = np.empty(0, np.int64)
    gathered = gather(store, request(store, allow=allow), RetrieveSettings())
    assert len(gathered.candidates.keys) == 0
    assert gathered.counts["union"] == 0
