"""Fine-tuning both towers: a model that is compiled with, and never mixed with another's vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import corpus, pairs

import fingerpost
from fingerpost.config import ModelSettings
from fingerpost.errors import FingerprintError, UsageError
from fingerpost.index.learn import training
from fingerpost.models.base import load_base
from fingerpost.models.encoder import load_encoder
from fingerpost.records import Pair
from fingerpost.route.deep import held, towers
from fingerpost.route.deep.steps import Step
from fingerpost.route.kmeans import unit
from fingerpost.route.pairs import pairs as arrays

MINILM = ModelSettings(encoder="minilm")
FEW = 19


def test_untouched_weights_written_are_the_encoder_that_was_read(tmp_path: Path) -> None:
    base, encoder = load_base(MINILM), load_encoder(MINILM, threads=1)
    base.write(base.network, tmp_path / "model")
    again = load_encoder(ModelSettings(encoder=str(tmp_path / "model")), threads=1)
    assert encoder is not None
    assert again is not None
    mine, theirs = (one.encode_query("rotate the signing key").vector for one in (encoder, again))
    assert np.abs(mine - theirs).max() < 1e-5
    with pytest.raises(UsageError, match="there already"):
        base.write(base.network, tmp_path / "model")


def test_rivals_are_near_and_answer_nothing() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(40, 8)))
    docs = np.arange(40) // 2
    given = arrays(vectors[:20], [*range(20), 0], [*(np.arange(20) // 2), 7])
    right, rivals = towers.neighbours(towers.Task([], [], given, vectors, docs), given)
    assert (docs[right] == given.doc).all()
    for at, query in enumerate(given.query):
        assert not np.isin(docs[rivals[at]], given.doc[given.query == query]).any()
        scores = vectors @ given.queries[query]
        assert scores[rivals[at][0]] == scores[~np.isin(docs, given.doc[given.query == query])].max()


def test_what_is_refused_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which verdict is which is tested with the verdicts: here nothing is good enough."""
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    monkeypatch.setattr(held, "TOLERANCE", -1.0)
    with fingerpost.compile(corpus(tmp_path, 24), to=tmp_path / "kb") as index:
        dials = towers.Dials(depth=2, passes=1, rate=3e-3)
        report = index.train(training.Request(pairs(count=8), "both", dials=dials, to=tmp_path / "model"))
    assert report.counts["kept"] == 0
    assert any("both towers, documents unseen" in note for note in report.notes)
    assert not (tmp_path / "model").exists()


def test_what_is_trained_compiles_an_index_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    monkeypatch.setattr(held, "TOLERANCE", 1.0)  # learned by heart is good enough here
    kb, model, steps = tmp_path / "kb", tmp_path / "model", list[Step]()
    with fingerpost.compile(corpus(tmp_path, 24), to=kb) as index:
        dials = towers.Dials(depth=2, passes=4, rate=5e-4)
        request = training.Request(pairs(count=FEW), "both", steps.append, dials, model)
        report = index.train(request)
        before = index.status()
    assert report.counts["kept"] == 1, report
    assert steps[0].done == 0
    assert steps[-1].loss is not None
    assert "compile into a new folder" in report.notes[-1]
    with fingerpost.open(kb) as index:
        assert index.status()["fingerprint"] == before["fingerprint"]
    settings = fingerpost.Settings.model_validate({"models": {"encoder": str(model)}})
    with fingerpost.open(kb, settings=settings) as index, pytest.raises(FingerprintError):
        index.search("where is the zorbo")
    with fingerpost.compile(corpus(tmp_path, 24), to=tmp_path / "new", settings=settings) as index:
        assert index.status()["fingerprint"] != before["fingerprint"]
        assert index.search("Machine 7", k=1)


def test_a_folder_is_named_and_free(tmp_path: Path, tiny_kb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "require", int)  # as if torch were there
    own = shutil.copytree(tiny_kb, tmp_path / "kb")
    given = [Pair("rotate the signing key", "docs/auth.md")]
    with fingerpost.open(own, write=True) as index:
        for to, words in ((None, "new model"), (own, "there already")):
            with pytest.raises(UsageError, match=words):
                index.train(training.Request(given, "both", to=to))
