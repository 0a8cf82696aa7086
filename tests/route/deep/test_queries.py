"""Training the query encoder, with the real network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fingerpost.config import ModelSettings
from fingerpost.errors import InputError
from fingerpost.models.base import load_base
from fingerpost.models.encoder import load_encoder
from fingerpost.models.runners import BuiltRunner
from fingerpost.route.deep import queries as deep
from fingerpost.route.deep.net import Net, merged, trainable
from fingerpost.route.deep.steps import Step
from fingerpost.route.deep.tune import Dials
from fingerpost.route.pairs import pairs

pytest.importorskip("torch", reason="the extra 'train' is not installed")

MINILM = ModelSettings(encoder="minilm")
THINGS = ("boiler", "ladder", "engine", "garden", "window", "violin", "bridge", "camera", "candle", "rocket")
MADE_UP = ("flomp", "drazzle", "quib", "wexel", "tarn", "splee", "grobo", "nimf", "plurk", "zandy")
QUICK = Dials(depth=1, passes=2, batch=8)


@pytest.fixture(scope="module")
def task() -> deep.Task:
    """Questions that call ten things by names that only training can teach."""
    encoder = load_encoder(MINILM, threads=1)
    assert encoder is not None
    documents = [f"A guide to the {thing}: how to use and mend it." for thing in THINGS]
    ways = ("where is the {}", "mend a {}", "{} is broken", "buy a {}", "old {}", "what is a {}")
    texts = [way.format(word) for word in MADE_UP for way in ways]
    vectors = np.stack([encoder.encode_query(text).vector for text in texts])
    given = pairs(vectors, range(len(texts)), [at // len(ways) for at in range(len(texts))])
    return deep.Task(texts, given, encoder.encode_passages(documents).vectors, np.arange(len(documents)))


def test_the_network_in_torch_is_the_network_served() -> None:
    encoder, base = load_encoder(MINILM, threads=1, precision="float32"), load_base(MINILM)
    assert encoder is not None
    texts = ["rotate the key", "a much longer question about the rotation of signing keys", "x"]
    net = Net(base.network, trainable(base.network, 2), pooling="mean")
    found = net.vectors([base.word_pieces(text) for text in texts]).detach().numpy()
    served = np.stack([encoder.encode_query(text).vector for text in texts])
    assert np.abs(found - served).max() < 1e-4


def test_untrained_weights_come_back_as_they_went() -> None:
    network = load_base(MINILM).network
    again = merged(network, trainable(network, 1))
    assert np.array_equal(again.layers[-1].qkv, network.layers[-1].qkv)
    assert np.array_equal(again.layers[-1].output_norm[1], network.layers[-1].output_norm[1])


def test_held_out_queries_become_better_and_the_first_step_says_what_it_takes(task: deep.Task) -> None:
    steps: list[Step] = []
    dials = Dials(depth=1, passes=8, batch=16, rate=1e-3, keep=0.0)
    outcome = deep.train(task, load_base(MINILM), dials=dials, watch=steps.append)
    assert outcome.verdict.seen[1] > outcome.verdict.seen[0] + 0.2
    assert steps[0].done == 0
    assert steps[0].minutes_left > 0
    assert steps[-1].held_out is not None
    assert outcome.queries.shape == task.given.queries.shape
    if outcome.graph is not None:
        assert BuiltRunner(outcome.graph).dim == task.vectors.shape[1]


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(task: deep.Task, tmp_path: Path) -> None:
    course = deep._Course(task, load_base(MINILM), QUICK, None, lambda step: None)
    everything = np.ones(len(task.texts), np.bool_)
    whole = course.run("all", everything)
    seen: list[int] = []

    def stop(step: Step) -> None:
        seen.append(step.done)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deep._Course(task, load_base(MINILM), QUICK, tmp_path, stop).run("all", everything)
    resumed: list[Step] = []
    again = deep._Course(task, load_base(MINILM), QUICK, tmp_path, resumed.append).run("all", everything)
    assert again == whole
    assert resumed[0].done == 9


def test_a_checkpoint_of_another_run_is_not_used(
    task: deep.Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    everything = np.ones(len(task.texts), np.bool_)
    deep._Course(task, load_base(MINILM), QUICK, tmp_path, lambda step: None).run("all", everything)
    seen: list[Step] = []
    fewer = everything.copy()
    fewer[:8] = False
    deep._Course(task, load_base(MINILM), QUICK, tmp_path, seen.append).run("all", fewer)
    assert "another run" in caplog.text
    assert seen[0].done == 1


def test_too_few_pairs_are_refused(task: deep.Task) -> None:
    given = task.given.only(task.given.query < 5)
    with pytest.raises(InputError, match="20 needed"):
        deep.train(deep.Task(task.texts, given, task.vectors, task.docs), load_base(MINILM))
