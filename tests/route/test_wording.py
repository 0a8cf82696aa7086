"""Words of past questions: counted by hand, kept with the memory, gone with what they belong to."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from fingerpost.errors import ModelError
from fingerpost.route import memory
from fingerpost.route.kmeans import unit
from fingerpost.route.memory import Memory, Penalty
from fingerpost.route.pairs import Pairs, pairs
from fingerpost.route.wording import SILENT, Wording

IDF = {f"w{at}": 1.0 + at / 7 for at in range(40)}


def questions(count: int, seed: int = 0) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [sorted({f"w{at}" for at in rng.integers(0, 40, rng.integers(0, 9))}) for _ in range(count)]


def by_hand(asked: list[list[str]], said: dict[str, float]) -> list[float]:
    """One document: the best weighted Jaccard, the share of idf, BM25."""
    total = sum(said.values())

    def jaccard(question: list[str]) -> float:
        both = sum(idf for term, idf in said.items() if term in question)
        return both / max(total + sum(IDF[term] for term in question) - both, 1e-9)

    text = [term for question in asked for term in question]
    share = sum(idf for term, idf in said.items() if term in text) / total
    damp = 1.2 * (0.25 + 0.75 * len(text) / 40)
    bm25 = sum(idf * text.count(term) * 2.2 / (text.count(term) + damp) for term, idf in said.items())
    return [max(map(jaccard, asked)), share, bm25]


def test_it_compares_as_one_would_by_hand():
    asked, counts = questions(30), np.array([1, 4, 10, 15])
    said = {f"w{at}": IDF[f"w{at}"] for at in (1, 5, 8, 20)} | {"never": log(100)}
    found = Wording.of(asked, IDF).compare(counts, said)
    bounds = np.cumsum(counts)
    expected = [by_hand(asked[end - size : end], said) for end, size in zip(bounds, counts, strict=True)]
    assert np.allclose(found.T, expected, atol=1e-6)


def test_any_questions_can_be_taken_in_any_order():
    asked = questions(30)
    order = np.array([7, 7, 0, 29])
    taken, again = Wording.of(asked, IDF).take(order), Wording.of([asked[at] for at in order], IDF)
    for name in ("terms", "lengths", "mass"):
        assert np.array_equal(getattr(taken, name), getattr(again, name))
    assert SILENT.take(order) is SILENT


def lesson(count: int = 40) -> tuple[np.ndarray, Pairs, list[list[str]]]:
    """``count`` documents, two questions to each of the first half; words say nothing of vectors."""
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(count, 16)).astype(np.float32))
    which = rng.permutation(np.repeat(np.arange(count // 2), 2))
    asked = questions(len(which), seed=2)
    near = unit(vectors[which] + 0.1 * rng.normal(size=(len(which), 16)).astype(np.float32))
    given = pairs(near, np.arange(len(which)), which)
    return vectors, replace(given, wording=Wording.of(asked, IDF)), asked


def test_the_memory_keeps_words_by_document():
    vectors, given, asked = lesson()
    keys = np.arange(40)
    learned = memory.fit(vectors, keys, given, penalty=Penalty(1e-2, 1e-2))
    said = {term: IDF[term] for term in ("w3", "w9", "w30")}
    columns = learned.columns(vectors[0], keys, vectors, said)
    own = [asked[at] for at in np.flatnonzero(given.doc == 5)]
    assert [float(columns[name][5]) for name in ("alike", "worded", "voiced")] == pytest.approx(
        by_hand(own, said), abs=1e-5
    )
    assert all((columns[name][20:] == 0).all() for name in ("alike", "worded", "voiced"))
    assert not learned.columns(vectors[0], keys, vectors)["alike"].any()
    again = Memory.from_bytes(learned.to_bytes())
    assert again.to_bytes() == learned.to_bytes()
    fewer = again.only(keys[3:9])
    assert fewer.columns(vectors[0], keys, vectors, said)["voiced"][5] == columns["voiced"][5]
    assert not fewer.columns(vectors[0], keys, vectors, said)["voiced"][9:].any()


def test_words_are_forgotten_and_damage_is_named():
    vectors, given, _ = lesson()
    learned = memory.fit(vectors, np.arange(40), given, penalty=Penalty(1e-2, 1e-2))
    bare = Memory.from_bytes(learned.forgetful().to_bytes())
    assert not len(bare.wording.terms)
    assert not bare.columns(vectors[0], np.arange(40), vectors, IDF)["alike"].any()
    short = replace(learned, wording=replace(learned.wording, terms=learned.wording.terms[:-1]))
    with pytest.raises(ModelError):
        Memory.from_bytes(short.to_bytes())
