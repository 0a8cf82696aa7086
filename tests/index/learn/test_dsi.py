"""The DSI as part of an index: what it proposes, and that nobody sees what is gone or not theirs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import corpus, nickname, pairs, serves_without_torch, written

import fingerpost
from fingerpost.cli.app import run
from fingerpost.errors import FingerprintError, ModelError
from fingerpost.index.build import building
from fingerpost.index.epoch import DSI
from fingerpost.index.learn import training
from fingerpost.index.learn.given import read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.index.search import gathering, searching
from fingerpost.index.search.found import Request
from fingerpost.records import Pair
from fingerpost.route.deep.seq2seq import Dials
from fingerpost.route.deep.served import SHORTLIST, Generative
from fingerpost.route.succession import GONE

FEW = 19
QUICK = Dials(hidden=64, passes=60, rate=3e-3)
SHALLOW = {"retrieve": {"depth": 5}, "store": {"late": False}}
"""Few candidates a leg, so that it shows who else brings some."""


needs_torch = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, check=False).returncode != 0,
    reason="the extra 'train' is not installed",
)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    folder = tmp_path_factory.mktemp("spoken")
    settings = fingerpost.Settings.model_validate(SHALLOW)
    with fingerpost.compile(corpus(folder), to=folder / "kb", settings=settings) as index:
        rooms, snapshot = index._rooms, index._rooms.store.snapshot()
        lesson = prepare(rooms, snapshot, read(pairs(count=FEW)), silent)
        outcome = training.spoken(rooms, snapshot, lesson, training.Request(None, "dsi", dials=QUICK), silent)
        assert outcome.verdict.seen[1] > outcome.verdict.seen[0] + 0.5
        rooms.store.republish({DSI: training.generative(rooms, lesson, outcome).to_bytes()})
    return folder / "kb"


@needs_torch
def test_what_does_not_pay_is_refused_with_the_figures(
    machines_kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pairs that are nonsense, so that no document can be learned."""
    random = np.random.default_rng(0)
    senseless = [Pair(pair.query, f"m{random.integers(60)}") for pair in pairs(count=8)]
    given = written(tmp_path, senseless)
    assert run(["train", "--at", str(machines_kb), "--kind", "dsi", "--pairs", str(given)]) == 5
    told = capsys.readouterr()
    assert "DSI alone, documents unseen, MRR" in told.out
    assert "minutes of one core" in told.err
    with fingerpost.open(machines_kb) as index:
        assert index._rooms.store.snapshot().artifact(DSI) is None


def proposed(index: fingerpost.Index, query: str) -> list[str]:
    """Ids of the documents that the DSI names."""
    found = searching.find(index._rooms, Request(query))
    keys, _ = gathering.propose(index._rooms, found.snapshot, found.epoch, found.asked, found.allow)
    return [document.doc_id for document in found.snapshot.about(keys.tolist())]


def test_what_it_proposes_are_candidates_by_words_no_document_holds(spoken: Path) -> None:
    with fingerpost.open(spoken) as index:
        named = [f"m{at}" in proposed(index, f"spare part for the {nickname(at)}") for at in range(FEW)]
        found = [
            f"m{at}" in {span.doc_id for span in index.search(f"spare part for the {nickname(at)}", k=50)}
            for at in range(FEW)
        ]
        assert np.mean(named) > 0.5
        assert all(by_search for by_search, by_dsi in zip(found, named, strict=True) if by_dsi)


def test_asking_it_does_not_import_torch(spoken: Path) -> None:
    assert serves_without_torch(spoken)


def test_a_deleted_document_is_never_named_again(spoken: Path, tmp_path: Path) -> None:
    own = shutil.copytree(spoken, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index:
        first = proposed(index, "where is the zorbo zorbo")
        assert len(first) == SHORTLIST
        index.delete(first[0])
        after = proposed(index, "where is the zorbo zorbo")
        assert after[: SHORTLIST - 1] == first[1:]
        building.fold(index._rooms, silent)
        assert proposed(index, "where is the zorbo zorbo") == after
        body = index._rooms.store.snapshot().artifact(DSI)
        assert body is not None
        assert (Generative.from_bytes(body).docids.keys == GONE).sum() == 1


@pytest.mark.parametrize("folded", [False, True])
def test_an_updated_document_keeps_its_docid_and_a_new_one_has_none(
    spoken: Path, tmp_path: Path, folded: bool
) -> None:
    own, page = shutil.copytree(spoken, tmp_path / "kb"), corpus(tmp_path, 61)
    with fingerpost.open(own, write=True) as index:
        before = proposed(index, "where is the zorbo zorbo")
        page.write_text(page.read_text().replace("has these parts", "now has these parts"))
        index.update(page)
        if folded:
            building.fold(index._rooms, silent)
        assert proposed(index, "where is the zorbo zorbo") == before
        everything = proposed(index, "machine 60") + proposed(index, "Model 60 has these parts")
        assert "m60" not in everything
        assert index.search("Machine 60", k=1)[0].doc_id == "m60"


def test_who_learns_later_is_given_proposals_of_who_never_saw_the_question(spoken: Path) -> None:
    with fingerpost.open(spoken) as index:
        rooms, snapshot = index._rooms, index._rooms.store.snapshot()
        lesson = prepare(rooms, snapshot, read(pairs(count=FEW)), silent)
        epoch = rooms.current(snapshot)
        assert epoch.dsi is not None
        for asked, given in zip(lesson.asked, lesson.proposed, strict=True):
            wanted = epoch.dsi.held_out(asked.query.text)
            assert wanted is not None
            assert all(np.array_equal(mine, known) for mine, known in zip(given, wanted, strict=True))


def test_one_of_another_model_or_damaged_is_refused(spoken: Path, tmp_path: Path) -> None:
    own = shutil.copytree(spoken, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index:
        made = index._rooms.epoch(index._rooms.store.snapshot()).dsi
        assert made is not None
        other = replace(made, fingerprint="ab" * 32)
        index._rooms.store.republish({DSI: other.to_bytes()})
        with pytest.raises(FingerprintError, match="trained with model abab"):
            index.search("the zorbo")
    with pytest.raises(ModelError):
        Generative.from_bytes(made.to_bytes()[:-9])


def test_it_is_taken_back(spoken: Path, tmp_path: Path) -> None:
    own = shutil.copytree(spoken, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index:
        index.rollback()
        assert proposed(index, "where is the zorbo zorbo") == []
