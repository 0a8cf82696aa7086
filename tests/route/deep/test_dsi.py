"""The DSI decoder: docids, exact beam search, and what is served against what was trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from fingerpost.errors import InputError
from fingerpost.route.deep import beam, docids, dsi
from fingerpost.route.deep.beam import ranked
from fingerpost.route.deep.decoder import Decoder, build
from fingerpost.route.deep.docids import Docids
from fingerpost.route.deep.seq2seq import Dials, Examples, Trainer
from fingerpost.route.deep.steps import Step, Watch, nobody
from fingerpost.route.kmeans import unit
from fingerpost.route.pairs import pairs
from fingerpost.route.succession import GONE


def cloud(count: int, *, seed: int = 0) -> np.ndarray:
    """Documents in ten heaps."""
    random = np.random.default_rng(seed)
    heaps = unit(random.normal(size=(10, 24)))
    return unit(heaps[random.integers(10, size=count)] + 0.5 * unit(random.normal(size=(count, 24))))


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_every_document_has_a_docid_of_its_own_and_no_node_too_many_children(count: int) -> None:
    made = docids.build(cloud(count), np.arange(count) + 5, seed=0)
    assert made.length == 3
    assert len(np.unique(made.symbols, axis=0)) == count
    assert sorted(made.keys.tolist()) == list(range(5, count + 5))
    assert made.width <= max(2, int(np.ceil(count ** (1 / 3))))
    assert (made.symbols == made.symbols[np.lexsort(made.symbols.T[::-1])]).all()


def test_documents_of_one_prefix_are_alike() -> None:
    vectors = cloud(1000)
    made = docids.build(vectors, np.arange(1000), seed=0)
    rows = vectors[made.keys]
    same = made.symbols[:, None, 0] == made.symbols[None, :, 0]
    assert (rows @ rows.T)[same].mean() > (rows @ rows.T)[~same].mean() + 0.2


def test_equal_vectors_still_get_docids_of_their_own() -> None:
    made = docids.build(np.ones((50, 4)), np.arange(50), seed=0)
    assert len(np.unique(made.symbols, axis=0)) == 50


def scorer(made: Docids, *, seed: int, sharp: float):
    """Scores that depend on the whole prefix and on nothing else."""
    table = np.random.default_rng(seed).normal(0, sharp, (made.width + 1, made.width + 1, made.width))

    def scores(prefixes: np.ndarray) -> np.ndarray:
        filled = np.full((len(prefixes), 2), made.width)
        filled[:, : prefixes.shape[1]] = prefixes
        return table[filled[:, 0], filled[:, 1]].astype(np.float32)

    return scores


def enumerated(made: Docids, scores, live: np.ndarray) -> list[tuple[float, int]]:
    """Every docid's probability, one factor at a time."""
    found = []
    for row in np.flatnonzero(live).tolist():
        chance = 0.0
        for step in range(made.length):
            logits = scores(made.symbols[row : row + 1, :step])[0].astype(np.float64)
            logits[~made.allowed[row, step]] = -np.inf
            chance += logits[made.symbols[row, step]] - np.logaddexp.reduce(logits)
        found.append((-chance, row))
    return sorted(found)


@pytest.mark.parametrize("width", [1, 3, 16])
@pytest.mark.parametrize("sharp", [0.01, 1.0, 6.0])
def test_the_beam_gives_what_enumeration_gives(
    sharp: float, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Narrow beams too: a prefix that falls out of the beam waits, it is not lost."""
    monkeypatch.setattr(beam, "BEAM", width)
    made = docids.build(cloud(200), np.arange(200), seed=0)
    live = np.random.default_rng(1).random(200) < 0.8
    scores = scorer(made, seed=2, sharp=sharp)
    wanted, found = enumerated(made, scores, live), list(ranked(made, scores, live=live))
    assert len(found) == live.sum()
    np.testing.assert_allclose([-chance for _, chance in found], [cost for cost, _ in wanted], atol=1e-9)
    assert {row for row, _ in found} == set(np.flatnonzero(live).tolist())
    assert [row for row, _ in found[:10]] == [row for _, row in wanted[:10]]


def test_a_sharp_decoder_looks_at_few_prefixes() -> None:
    made = docids.build(cloud(1000), np.arange(1000), seed=0)
    asked = 0
    scores = scorer(made, seed=2, sharp=6.0)

    def counted(prefixes: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(prefixes)
        return scores(prefixes)

    assert len(list(islice(ranked(made, counted, live=np.ones(1000, np.bool_)), 10))) == 10
    assert asked < 60


def test_who_is_deleted_is_gone_at_once_and_moves_nobody_else() -> None:
    made = docids.build(cloud(200), np.arange(200), seed=0)
    scores, live = scorer(made, seed=2, sharp=1.0), np.ones(200, np.bool_)
    before = dict(ranked(made, scores, live=live))
    first = max(before, key=lambda row: before[row])
    gone = made.renamed({int(made.keys[first]): None})
    after = dict(ranked(gone, scores, live=gone.keys != GONE))
    assert before.pop(first) is not None
    assert after == before
    assert not list(ranked(made, scores, live=np.zeros(200, np.bool_)))


def test_an_updated_document_keeps_its_docid() -> None:
    made = docids.build(cloud(20), np.arange(20), seed=0)
    later = made.renamed({3: 40, 40: 41, 5: None})
    assert later.place[41] == made.place[3]
    assert (later.keys == GONE).sum() == 1


@pytest.fixture(scope="module")
def task() -> dsi.Task:
    """Sixty documents, three questions each, near their documents."""
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    random, vectors = np.random.default_rng(3), cloud(60)
    owners = np.arange(180) % 60
    asked = [unit(vectors[at] + 0.4 * unit(random.normal(size=(4, 24)))) for at in owners]
    queries = np.stack([memory[0] for memory in asked])
    return dsi.Task(asked, pairs(queries, range(180), owners), [], vectors, np.arange(60))


def course(task: dsi.Task, folder: Path | None = None, watch: Watch = nobody) -> dsi.Course:
    return dsi.Course(task, Dials(hidden=32, passes=6), folder, watch)


EVERYTHING = np.ones(180, np.bool_)


def test_the_decoder_served_is_the_network_trained(task: dsi.Task) -> None:
    import torch

    examples = Examples(task.vectors, np.arange(60), task.asked, task.given.doc, 180)
    made = docids.build(task.vectors, task.docs, seed=0)
    trainer = Trainer(made, examples, Dials(hidden=32, passes=2), seed=0)
    losses = [loss for _ in range(2) for loss in trainer.one_pass()]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    served = Decoder(build(trainer.net.arrays()))
    memory = task.asked[0].astype(np.float32)
    block, keep = torch.from_numpy(memory[None]), torch.ones((1, len(memory)), dtype=torch.bool)
    for row in (0, 17, 59):
        symbols = torch.from_numpy(made.symbols[row : row + 1].astype(np.int64))
        wanted = trainer.net.scores(block, keep, symbols)[0].detach().numpy()
        for step in range(3):
            found = served.scores(memory, made.symbols[row : row + 1, :step])[0]
            assert np.abs(found - wanted[step]).max() < 0.05
    prefixes = np.unique(made.symbols[:, :1], axis=0)
    together, alone = served.scores(memory, prefixes), served.scores(memory, prefixes[:1])
    assert np.abs(together[0] - alone[0]).max() < 1e-5


def test_an_interrupted_training_goes_on_and_ends_in_the_same_bytes(task: dsi.Task, tmp_path: Path) -> None:
    whole, seen = course(task).run("all", EVERYTHING), []

    def stop(step: Step) -> None:
        seen.append(step.done)
        if len(seen) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        course(task, tmp_path, stop).run("all", EVERYTHING)
    resumed: list[Step] = []
    assert course(task, tmp_path, resumed.append).run("all", EVERYTHING) == whole
    assert resumed[0].done > 1


def test_too_few_pairs_are_refused(task: dsi.Task) -> None:
    few = replace(task, given=task.given.only(task.given.query < 5))
    with pytest.raises(InputError, match="needed"):
        dsi.train(few)
