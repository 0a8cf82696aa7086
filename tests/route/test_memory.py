"""Docid memory: gradients are right, it learns, it harms nobody unseen, it says no to bad pairs."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from fingerpost.errors import FingerprintError, InputError, ModelError
from fingerpost.route import descent, gate, memory, wording
from fingerpost.route.kmeans import unit
from fingerpost.route.memory import Memory, Penalty
from fingerpost.route.pack import pack, unpack
from fingerpost.route.pairs import Pairs, folds, groups, pairs

DIM = 24


def world(documents: int = 120, each: int = 3, seed: int = 0, noise: float = 1.1) -> tuple[np.ndarray, Pairs]:
    """Documents, and questions that ask for half of them in words turned away from the documents' own."""
    random = np.random.default_rng(seed)
    vectors = unit(random.normal(size=(documents, DIM)))
    turn = np.linalg.qr(random.normal(size=(DIM, DIM)))[0].astype(np.float32)
    asked = np.repeat(np.arange(documents // 2), each)
    blur = noise * random.normal(size=(len(asked), DIM)) / DIM**0.5
    queries = unit(vectors[asked] + 1.3 * vectors[asked] @ turn + blur)
    return vectors, pairs(queries, np.arange(len(asked)), 1000 + asked)


def keys(vectors: np.ndarray) -> np.ndarray:
    return 1000 + np.arange(len(vectors))


def hits(scores: np.ndarray, right: np.ndarray) -> float:
    return float((scores.argmax(axis=1) == right).mean())


@pytest.fixture
def problem() -> descent.Problem:
    vectors, given = world(20, 2)
    order = np.argsort(given.query)
    target = np.full(len(order), 0.7, np.float32)
    own = np.where(np.arange(20) % 4 == 2, (np.arange(20) + 7) % 20, -1)
    return descent.Problem(given.queries, vectors, given.query[order], given.doc[order] - 1000, target, own)


def test_the_gradient_of_the_map(problem: descent.Problem) -> None:
    random = np.random.default_rng(0)
    matrix = (0.1 * random.normal(size=(DIM, DIM))).astype(np.float32)
    rows, pool = np.arange(0, 20, 2), np.arange(20)
    _, slope = descent.map_loss(problem, matrix, rows, pool)
    step = random.normal(size=matrix.shape).astype(np.float32) * 3e-3
    ahead, behind = (descent.map_loss(problem, matrix + s * step, rows, pool)[0] for s in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(float((slope * step).sum()), rel=2e-2, abs=1e-4)


def test_the_gradient_of_the_rows(problem: descent.Problem) -> None:
    random = np.random.default_rng(1)
    change = (0.1 * random.normal(size=problem.documents.shape)).astype(np.float32)
    rows, pool = np.arange(0, 20, 3), np.arange(20)
    _, slope = descent.rows_loss(problem, change, rows, pool)
    step = random.normal(size=change.shape).astype(np.float32) * 3e-3
    ahead, behind = (descent.rows_loss(problem, change + s * step, rows, pool)[0] for s in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(float((slope * step).sum()), rel=2e-2, abs=1e-4)


def test_a_document_that_is_the_query_itself_does_not_compete_for_it(problem: descent.Problem) -> None:
    rows, pool = np.array([2]), np.arange(20)
    _, slope = descent.rows_loss(problem, np.zeros_like(problem.documents), rows, pool)
    assert np.flatnonzero(~slope.any(axis=1)).tolist() == problem.own[rows].tolist()


def test_questions_that_are_documents_are_judged_without_themselves() -> None:
    """Each of 60 documents asks for its like, as in ArguAna and Quora: it found itself first before."""
    random = np.random.default_rng(0)
    asking = unit(random.normal(size=(60, DIM)))
    vectors = np.concatenate([asking, unit(asking + 0.1 * random.normal(size=(60, DIM)))])
    given = pairs(asking, np.arange(60), 1060 + np.arange(60))
    _, verdict = gate.train(vectors, keys(vectors), given)
    assert verdict.untrained.unseen <= 0.5
    _, verdict = gate.train(vectors, keys(vectors), replace(given, own=keys(asking)))
    assert verdict.untrained.unseen > 0.95


def test_learning_gains_on_seen_documents_and_keeps_unseen_ones() -> None:
    vectors, given = world()
    learned, verdict = gate.train(vectors, keys(vectors), given)
    fresh = world(seed=0, each=9)[1]
    scores = learned.scores(fresh.queries, keys(vectors), vectors)
    assert verdict.chosen is not None
    assert learned.trained
    assert hits(scores, fresh.doc - 1000) > hits(fresh.queries @ vectors.T, fresh.doc - 1000) + 0.1
    own = learned.scores(vectors[60:], keys(vectors), vectors)
    assert hits(own, np.arange(60, 120)) >= 0.95


def test_training_is_deterministic() -> None:
    vectors, given = world(60)
    first, second = (
        memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-2)).to_bytes() for _ in range(2)
    )
    assert first == second


def test_infinite_penalties_leave_the_frozen_vectors() -> None:
    vectors, given = world(60)
    learned = memory.fit(vectors, keys(vectors), given, penalty=Penalty(inf, inf))
    assert not learned.trained
    scores = learned.scores(given.queries, keys(vectors), vectors)
    assert scores == pytest.approx(given.queries @ vectors.T, abs=1e-5)


def test_shuffled_pairs_are_refused_aloud() -> None:
    vectors, given = world(300, 1, noise=0.3)
    wrong = replace(given, doc=np.random.default_rng(0).permutation(given.doc))
    learned, verdict = gate.train(vectors, keys(vectors), wrong)
    assert verdict.chosen is None
    assert not learned.trained
    assert "refused" in learned.notes[-1]


def test_questions_that_are_all_alike_are_refused() -> None:
    """None can be held out, so nothing can be judged."""
    vectors, _ = world()
    alike = pairs(np.tile(vectors[:1], (40, 1)), np.arange(40), keys(vectors)[np.arange(40)])
    learned, verdict = gate.train(vectors, keys(vectors), alike)
    assert verdict.chosen is None
    assert "refused" in learned.notes[-1]


def test_generated_pairs_that_lie_do_not_hurt_gold_ones() -> None:
    vectors, given = world()
    lies = np.random.default_rng(0).permutation(given.doc)
    both = pairs(
        given.queries,
        np.concatenate([given.query, given.query]),
        np.concatenate([given.doc, lies]),
        gold=np.arange(2 * len(lies)) < len(lies),
    )
    _, verdict = gate.train(vectors, keys(vectors), both)
    assert verdict.chosen is None or verdict.chosen.generated == 0.0


@pytest.mark.parametrize("case", ["few", "unknown", "poison", "nan", "negative"])
def test_bad_pairs_are_named(case: str) -> None:
    vectors, given = world()
    count = len(given.query)
    bad = {
        "few": given.only(np.arange(count) < 10),
        "unknown": replace(given, doc=np.where(np.arange(count) < 100, given.doc + 10_000, given.doc)),
        "poison": replace(given, doc=np.where(np.arange(count) % 2 == 0, 1000, given.doc)),
        "nan": replace(given, queries=np.full_like(given.queries, np.nan)),
        "negative": replace(given, weight=-given.weight),
    }[case]
    with pytest.raises(InputError) as caught:
        gate.train(vectors, keys(vectors), bad)
    assert caught.value.code == "E_PAIRS"


def test_unknown_documents_are_left_out_aloud() -> None:
    vectors, given = world()
    some = replace(given, doc=np.where(np.arange(len(given.doc)) < 9, 9_999, given.doc))
    learned, _ = gate.train(vectors, keys(vectors), some)
    assert "9 of 180 pairs left out" in learned.notes[0]


def test_out_of_fold_memories_never_saw_the_query() -> None:
    vectors, given = world(60)
    twice = pairs(
        np.concatenate([given.queries, given.queries[:1]]),
        np.arange(len(given.query) + 1),
        np.append(given.doc, given.doc[0]),
    )
    like = memory.fit(vectors, keys(vectors), twice, penalty=Penalty(1e-2, 1e-3))
    fold, memories = gate.out_of_fold(vectors, keys(vectors), twice, like=like, count=3)
    assert fold[0] == fold[-1]
    assert len(memories) == 3
    right, query = twice.doc - 1000, twice.query
    own = like.scores(twice.queries, keys(vectors), vectors)[query, right].mean()
    blind = [memories[n].scores(twice.queries, keys(vectors), vectors) for n in range(3)]
    apart = np.mean([blind[fold[q]][q, d] for q, d in zip(query, right, strict=True)])
    assert apart < own - 0.05


def test_a_tenth_of_what_all_ask_for_is_withheld_out_of_fold() -> None:
    vectors, given = world(60)
    like = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-3))
    _, memories = gate.out_of_fold(vectors, keys(vectors), given, like=like, count=3)
    for each in memories:
        assert len(each.withheld) == 3
        assert np.isin(each.withheld, like.keys).all()
        assert not np.isin(each.withheld, each.keys).any()
        columns = each.columns(given.queries[0], keys(vectors), vectors)
        assert np.isnan(columns["trained"]).tolist() == np.isin(keys(vectors), each.withheld).tolist()
        away = each.withheld - 1000
        assert (columns["memory"][away] == columns["map"][away]).all()
        assert not columns["nearest"][away].any()
    assert len({tuple(each.withheld.tolist()) for each in memories}) == 3
    once = given.only(np.arange(0, len(given.query), 3))
    _, memories = gate.out_of_fold(vectors, keys(vectors), once, like=like, count=3)
    assert not any(len(each.withheld) for each in memories)


def test_nothing_is_said_of_how_often_a_later_document_was_asked_for() -> None:
    vectors, given = world(60)
    stood = keys(vectors)[:50]
    learned = memory.fit(vectors[:50], stood, given, penalty=Penalty(1e-2, 1e-3))
    for kept in (learned, Memory.from_bytes(learned.to_bytes())):
        counts = kept.columns(given.queries[0], keys(vectors), vectors)["trained"]
        assert (counts[:30] > 0).all()
        assert (counts[30:50] == 0).all()
        assert np.isnan(counts[50:]).all()
    moved = learned.renamed({1000: 2000}).columns(given.queries[0], np.array([2000]), vectors[:1])
    assert moved["trained"][0] > 0
    arrays, facts = unpack("memory", learned.to_bytes())
    before = Memory.from_bytes(pack("memory", arrays, {n: v for n, v in facts.items() if n != "newest"}))
    assert (before.columns(given.queries[0], keys(vectors), vectors)["trained"][50:] == 0).all()


def test_columns_shortlist_and_deletion() -> None:
    vectors, given = world(60)
    learned = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-3, 0.01))
    columns = learned.columns(given.queries[0], keys(vectors), vectors)
    best, scores = learned.shortlist(given.queries[0], 5)
    assert set(columns) == {"map", "memory", "trained", "surprise", "nearest", *wording.NAMES}
    assert columns["nearest"][given.doc[0] - 1000] == pytest.approx(1.0, abs=1e-5)
    assert (columns["nearest"][30:] == 0).all()
    bare = Memory.from_bytes(learned.forgetful().to_bytes())
    assert not len(bare.asked)
    assert bare.columns(given.queries[0], keys(vectors), vectors)["nearest"].max() == 0
    assert columns["memory"][best - 1000] == pytest.approx(scores, abs=1e-5)
    assert (columns["memory"][30:] == columns["map"][30:]).all()
    assert (columns["trained"] > 0).sum() == 30
    less = learned.only(learned.keys[learned.keys != best[0]])
    assert best[0] not in less.keys
    assert len(less.asked) == less.counts.sum()
    assert less.columns(given.queries[0], best[:1], vectors[best[:1] - 1000])["trained"].tolist() == [0.0]
    nobody = Memory.identity(DIM).columns(given.queries[0], keys(vectors), vectors)
    assert (nobody["map"] == nobody["memory"]).all()
    assert len(Memory.identity(DIM).shortlist(given.queries[0], 5)[0]) == 0


def test_few_questions_stand_for_all() -> None:
    vectors, given = world(60)
    learned = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-3))
    assert np.array_equal(learned.sample, learned.asked)
    many = replace(learned, asked=np.repeat(learned.asked, 30, axis=0))
    assert 0 < len(many.sample) <= memory.SAMPLE
    assert len(np.unique(many.sample, axis=0)) > len(learned.asked) / 2
    assert not len(learned.forgetful().sample)
    assert not len(Memory.identity(DIM).sample)


def test_a_row_follows_its_document_to_a_new_version_and_dies_with_it() -> None:
    vectors, given = world(60)
    learned = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-3))
    first, second = learned.keys[:2].tolist()
    moved = learned.renamed({first: 5000, 5000: 5001, second: None})
    query, ones = given.queries[0], np.array([first, 5000, 5001, second])
    counts = moved.columns(query, ones, vectors[:4])["trained"]
    assert (counts > 0).tolist() == [False, False, True, False]
    assert 5001 in moved.shortlist(query, 60)[0]
    assert second not in moved.shortlist(query, len(moved.keys) - 1)[0]
    kept = moved.only(np.array([5001]))
    assert kept.keys.tolist() == [5001]
    assert np.allclose(kept.rows[0], learned.rows[0])
    assert len(kept.asked) == learned.counts[0]


def test_a_document_starts_at_the_chunks_its_queries_mean() -> None:
    chunks = np.eye(4, dtype=np.float32)
    given = pairs(unit(np.array([[0.1, 1.0, 0, 0]])), [0], [7])
    assert memory.starts(chunks, np.array([7, 7, 8, 8]), given, np.array([7])).tolist() == [[0, 1, 0, 0]]


def test_bytes_round_trip_and_hostile_bytes() -> None:
    vectors, given = world(60)
    learned = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, inf))
    again = Memory.from_bytes(learned.to_bytes())
    assert again.to_bytes() == learned.to_bytes()
    assert again.penalty == learned.penalty
    with pytest.raises(FingerprintError):
        again.fits(dim=384)
    for data in (b"", b"\x80\x04.", learned.to_bytes()[:-9]):
        with pytest.raises(ModelError):
            Memory.from_bytes(data)
    poisoned = replace(learned, matrix=np.full((DIM, DIM), np.nan, np.float32))
    with pytest.raises(ModelError, match="NaN"):
        Memory.from_bytes(poisoned.to_bytes())


def test_training_again_on_all_pairs_keeps_old_queries() -> None:
    vectors, given = world(120, 4)
    old = given.only(given.doc < 1040)
    first = memory.fit(vectors, keys(vectors), old, penalty=Penalty(1e-2, 1e-3))
    then = memory.fit(vectors, keys(vectors), given, penalty=Penalty(1e-2, 1e-3))
    queries, right = given.queries[old.query], old.doc - 1000
    before, after = (hits(m.scores(queries, keys(vectors), vectors), right) for m in (first, then))
    assert after >= before - 0.03


def test_near_duplicates_share_a_group_and_a_fold() -> None:
    queries = unit(np.random.default_rng(0).normal(size=(1200, DIM)))
    doubled = np.concatenate([queries, queries + 0.001])
    group, fold = groups(unit(doubled)), folds(unit(doubled), 5, seed=0)
    same = group[:1200] == group[1200:]
    assert same.mean() > 0.97
    assert (fold[:1200][same] == fold[1200:][same]).all()
    assert np.bincount(fold).min() > 350
