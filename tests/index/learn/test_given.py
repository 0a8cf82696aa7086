"""Pairs as people give them: what cannot be used is said, and nothing bad is kept for the next lesson."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from tests.index.machines import corpus, pairs, written

import fingerpost
from fingerpost.errors import InputError
from fingerpost.index.learn.given import earlier, read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.records import Pair


def test_questions_that_no_search_takes_are_counted(machines_kb: Path, tmp_path: Path) -> None:
    """They used to be left out of a lesson without a word."""
    path = written(tmp_path, [*pairs()[:60], Pair("x y " * 20_000, "m1"), Pair("  ", "m2")])
    with fingerpost.open(machines_kb, write=True) as index:
        report = index.learn(path)
    assert report.counts["pairs"] == 60
    assert any("cannot be asked (E_TOO_LONG, first: 'q61')" in note for note in report.notes)
    assert "1 question without text left out" in report.notes


@pytest.mark.parametrize(
    ("bad", "said"),
    [(("a question", "m1"), "pair 2 is tuple"), (Pair(" ", "m1"), "pair 2: the query holds no text")],
)
def test_what_is_no_pair_is_named_by_its_number(bad: object, said: str, machines_kb: Path) -> None:
    with (
        fingerpost.open(machines_kb, write=True) as index,
        pytest.raises(InputError) as caught,
    ):
        index.learn([pairs()[0], bad])  # type: ignore[list-item]
    assert caught.value.code == "E_PAIRS"
    assert said in caught.value.message


def test_what_was_clicked_oftener_weighs_more(machines_kb: Path) -> None:
    """Weights were kept, and no lesson looked at them."""
    seldom = Pair("where is the zorbo", "m1", weight=0.25, origin="log")
    given = [*pairs()[:60], seldom, replace(seldom, doc_id="m2"), replace(seldom, doc_id="m2", weight=1.0)]
    with fingerpost.open(machines_kb, write=True) as index:
        rooms = index._rooms
        rooms.store.add_pairs(given[:50])
        lesson = prepare(rooms, rooms.store.snapshot(), read(given), silent)
    assert lesson.pairs.weight.tolist() == [1.0] * 60 + [0.25, 1.0]


def test_earlier_pairs_do_not_excuse_new_ones_of_another_corpus(machines_kb: Path) -> None:
    foreign = [Pair(pair.query, f"other-{pair.doc_id}") for pair in pairs()[60:100]]
    with fingerpost.open(machines_kb, write=True) as index:
        index.learn(pairs()[:60])
        with pytest.raises(InputError, match="40 of 41 pairs name documents that are not in this index"):
            index.learn([pairs()[60], *foreign])
        assert earlier(index._rooms) == pairs()[:60]


def test_pairs_at_random_are_not_kept_though_few_are_candidates(tmp_path: Path) -> None:
    """Enough to judge, and nothing in them: where BM25 and vectors bring few of the documents that random
    pairs name, the fusion has too few questions, which used to be taken for a small lesson.
    """
    random = np.random.default_rng(0)
    settings = fingerpost.Settings.model_validate({"retrieve": {"depth": 1}})
    given = [Pair(pair.query, f"m{random.integers(60)}") for pair in pairs()]
    with fingerpost.compile(corpus(tmp_path), to=tmp_path / "kb", settings=settings) as index:
        report = index.learn(given)
        assert any("fewer than 40" in note for note in report.notes)
        assert report.notes[-2:] == ("the pairs are not kept", "nothing was changed")
        assert not earlier(index._rooms)


def test_ids_of_pairs_are_compared_as_ids_are_stored(tmp_path: Path) -> None:
    """NFC, whatever form the pairs were written in."""
    with (tmp_path / "c.jsonl").open("w") as file:
        for at in range(30):
            file.write(json.dumps({"_id": f"é{at}", "text": f"Machine {at} and its parts."}) + "\n")
    given = [Pair(f"machine {at}", normalize("NFD", f"é{at}")) for at in range(30)]
    with fingerpost.compile(tmp_path / "c.jsonl", to=tmp_path / "kb") as index:
        assert index.learn(given).counts["pairs"] == 30
        assert index.learn(written(tmp_path, given)).counts["pairs"] == 30
