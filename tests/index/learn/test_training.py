"""Deep training through the index: what it changes, what it refuses, and that it can be interrupted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import hits, pairs, serves_without_torch, written

import fingerpost
from fingerpost.cli.app import run
from fingerpost.errors import FingerprintError, MissingExtraError, UsageError
from fingerpost.index.build import building
from fingerpost.index.epoch import QUERIES
from fingerpost.index.learn import learning, surety, training
from fingerpost.index.learn.given import earlier, read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.records import Pair
from fingerpost.route.deep.artifact import Tuned
from fingerpost.route.deep.steps import Step
from fingerpost.route.deep.tune import Dials

FEW = 7
"""Machines whose questions are too few for a learned fusion: what is trained stands alone."""
FEWER = 8
STRONG = Dials(depth=2, passes=10, batch=16, rate=1e-3, keep=0.0)

needs_torch = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, check=False).returncode != 0,
    reason="the extra 'train' is not installed",
)


@pytest.fixture(scope="module")
def trained(plain_machines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    own = Path(shutil.copytree(plain_machines, tmp_path_factory.mktemp("trained") / "kb"))
    steps: list[Step] = []
    with fingerpost.open(own, write=True) as index:
        request = training.Request(pairs(count=FEW), watch=steps.append, dials=STRONG)
        report = index.train(request)
    assert report.counts["kept"] == 1
    assert steps[0].done == 0
    assert steps[0].minutes_left > 0
    return own


def test_a_trained_query_encoder_serves_until_it_is_rolled_back(
    trained: Path, plain_machines: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(trained, tmp_path / "kb")
    with fingerpost.open(plain_machines) as index:
        before = hits(index, FEW)
    with fingerpost.open(own, write=True) as index:
        assert index.status()["query_encoder"] == "trained"
        assert hits(index, FEW) > before + 0.1
        assert earlier(index._rooms) == pairs(count=FEW)
        assert f"{FEW * 5} pairs forgotten" in index.rollback().notes
        assert not earlier(index._rooms)
        assert index.status()["query_encoder"] == "untouched"
        assert hits(index, FEW) == before


def test_its_vectors_are_trusted_from_their_own_cosine_on(trained: Path, tmp_path: Path) -> None:
    with fingerpost.open(shutil.copytree(trained, tmp_path / "kb"), write=True) as index:
        epoch = index._rooms.epoch(index._rooms.store.snapshot())
        assert epoch.tuned is not None
        assert epoch.tuned.cosine in surety.COSINES[1:]
        assert epoch.judges.balance.cosine == epoch.tuned.cosine
        index.rollback()
        rolled = index._rooms.epoch(index._rooms.store.snapshot())
        assert rolled.judges.balance.cosine == surety.COSINES[0]


def test_what_chooses_the_cosine_is_questions_about_other_documents() -> None:
    each = [str(at) for at in range(40)]
    better = np.tile([[0.2], [0.3], [0.6], [0.4]], 40)
    assert surety.chosen(better[:, :20], each[:20], seed=0).cosine is None, "too few"
    sure = surety.chosen(better, each, seed=0)
    assert (sure.cosine, sure.values.tolist()) == (surety.COSINES[2], [0.6] * 40)
    worse = surety.chosen(better[[2, 0, 1, 3]], each, seed=0)
    assert (worse.cosine, worse.values.tolist()) == (None, [0.6] * 40)
    lucky = np.zeros((len(surety.COSINES), 40))
    lucky[1, 0] = 1.0
    assert surety.chosen(lucky, each, seed=0).cosine is None, "one question's luck"


def test_it_goes_on_from_fold_to_fold(trained: Path, tmp_path: Path) -> None:
    own = shutil.copytree(trained, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index:
        before = hits(index, FEW)
        building.fold(index._rooms, silent)
        assert index.status()["query_encoder"] == "trained"
        assert hits(index, FEW) == before


def test_serving_it_does_not_import_torch(trained: Path) -> None:
    assert serves_without_torch(trained)


def test_who_learns_later_is_given_vectors_that_were_not_fitted_to_the_question(trained: Path) -> None:
    with fingerpost.open(trained) as index:
        rooms, snapshot = index._rooms, index._rooms.store.snapshot()
        epoch = rooms.epoch(snapshot)
        new = Pair("a question nobody asked", "m1")
        lesson = prepare(rooms, snapshot, read([*pairs(count=FEW), new]), silent)
        encoder = rooms.asking(epoch)
        assert encoder is not None
        assert epoch.tuned is not None
        for at, asked in enumerate(lesson.asked):
            assert asked.encoded is not None
            fitted = encoder.encode_query(asked.query.text).vector
            held_out = epoch.tuned.held_out(asked.query.text)
            if asked.query.text == new.query:
                assert held_out is None
                assert np.array_equal(asked.encoded.vector, fitted)
            else:
                assert not np.array_equal(asked.encoded.vector, fitted)
                assert np.array_equal(lesson.pairs.queries[at], held_out)


def test_an_encoder_trained_from_another_is_refused(trained: Path, tmp_path: Path) -> None:
    own = shutil.copytree(trained, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index:
        tuned = index._rooms.epoch(index._rooms.store.snapshot()).tuned
        assert tuned is not None
        other = Tuned(tuned.graph, "ab" * 32, tuned.names, tuned.vectors)
        index._rooms.store.republish({QUERIES: other.to_bytes()})
        with pytest.raises(FingerprintError, match="trained from model abab"):
            index.search("the zorbo")


@needs_torch
def test_what_does_not_pay_is_refused_with_the_figures(
    plain_machines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pairs that are nonsense: held-out questions cannot become better."""
    own, random = shutil.copytree(plain_machines, tmp_path / "kb"), np.random.default_rng(0)
    senseless = [Pair(pair.query, f"m{random.integers(60)}") for pair in pairs(count=FEWER)]
    given = written(tmp_path, senseless)
    assert run(["train", "--at", str(own), "--pairs", str(given)]) == 5
    told = capsys.readouterr()
    assert "documents unseen, MRR" in told.out
    assert "nothing was changed" in told.out
    assert "minutes of one core" in told.err
    assert "loss" in told.err
    assert "E_GATE" in told.err
    assert "the pairs are not kept" in told.out
    with fingerpost.open(own) as index:
        assert index.status()["query_encoder"] == "untouched"
        assert not earlier(index._rooms)


def test_what_was_trained_is_compared_with_the_lesson_that_serves(taught_kb: Path) -> None:
    """Both gates compare what a lesson of the same pairs would do: wrong pairs make both of them worse."""
    random = np.random.default_rng(0)
    wrong = read([Pair(pair.query, f"m{random.integers(60)}") for pair in pairs() for _ in range(2)])
    with fingerpost.open(taught_kb, write=True) as index:
        before, rooms, generation = hits(index), index._rooms, index.status()["generation"]
        snapshot = rooms.store.snapshot()
        lesson = prepare(rooms, snapshot, wrong, silent)
        passed = training.Passed({}, learning.teach(rooms, snapshot, lesson, silent), ())
        report = training._promoted(rooms, snapshot, lesson, wrong, passed)
        assert report.counts["kept"] == 0
        assert "the lesson is worse than the one that serves" in report.notes
        assert index.status()["generation"] == generation
        assert earlier(rooms) == pairs()
        assert hits(index) == before


@needs_torch
def test_ctrl_c_leaves_a_training_that_goes_on(
    plain_machines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, given = Path(shutil.copytree(plain_machines, tmp_path / "kb")), pairs(count=FEWER)

    def stop(step: Step) -> None:
        if step.held_out is not None:
            raise KeyboardInterrupt

    with fingerpost.open(own, write=True) as index, pytest.raises(KeyboardInterrupt):
        index.train(training.Request(given, watch=stop))
    assert list((own / training.FOLDER).glob("*.safetensors"))
    assert run(["train", "--at", str(own), "--pairs", str(written(tmp_path, given))]) in (0, 5)
    lines = capsys.readouterr().err.splitlines()
    first = next(line for line in lines if line.startswith("train "))
    assert int(first.split()[1]) > 1
    assert not (own / training.FOLDER).exists()


def test_without_torch_the_command_names_the_cure(
    plain_machines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    own, given = shutil.copytree(plain_machines, tmp_path / "kb"), written(tmp_path, pairs(count=FEW))
    assert run(["train", "--at", str(own), "--pairs", str(given)]) == 6
    assert "pip install 'fingerpost[train]'" in capsys.readouterr().err
    with fingerpost.open(own, write=True) as index, pytest.raises(MissingExtraError):
        index.train(training.Request(pairs(count=FEW)))


@pytest.mark.parametrize(("arguments", "words"), [(("nonsense",), "no training of kind"), ((), "no pairs")])
def test_a_training_that_cannot_be_is_refused(
    plain_machines: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "require", int)  # as if torch were there
    own = shutil.copytree(plain_machines, tmp_path / "kb")
    with fingerpost.open(own, write=True) as index, pytest.raises(UsageError, match=words):
        index.train(training.Request([], *arguments))
