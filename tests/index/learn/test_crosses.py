"""A reranker made from an index: trained on its pairs, judged on documents held out, served without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.config import ModelSettings, Settings
from fingerpost.errors import InputError, UsageError
from fingerpost.index.learn import crosses
from fingerpost.index.learn.crosses import Course, Seen, Verdict
from fingerpost.models.base import Base, load_base
from fingerpost.models.graph import build_pair
from fingerpost.models.runners import session
from fingerpost.records import Pair
from fingerpost.rerank.cross import CrossEncoder
from fingerpost.route.deep import cross
from fingerpost.route.deep.cross import Dials, Example
from fingerpost.route.deep.pairnet import PairNet
from fingerpost.route.deep.steps import Step

THINGS = (
    *("boiler", "ladder", "engine", "garden", "window", "violin", "bridge", "camera", "candle", "rocket"),
    *("kettle", "hammer", "saddle", "barrel", "mirror", "piano"),
)
QUICK = Dials(depth=2, pieces=48, passes=2, minutes=60.0)
PARTS = ("mend", "clean", "sell", "lift")
WORDS = {
    "mend": "Broken ones are put right with glue and patience.",
    "clean": "Dust comes off with warm water and soap.",
    "sell": "A fair price is agreed and the money is handed over.",
    "lift": "Two people take hold and raise it from the floor.",
}


def documents(folder: Path) -> Path:
    """For each thing four short texts; which of them answers is told by words that questions do not use."""
    file = folder / "corpus.jsonl"
    rows = [
        {"_id": f"{thing}-{part}", "title": thing, "text": f"The {thing}. {WORDS[part]}"}
        for thing in THINGS
        for part in PARTS
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def taught() -> list[Pair]:
    ways = ("how do I {} a {}", "{} the old {}", "please {} my {}")
    return [
        Pair(way.format(part, thing), f"{thing}-{part}", 1.0)
        for thing in THINGS
        for part in PARTS
        for way in ways
    ]


@pytest.fixture(scope="module")
def kb(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reranker")
    fingerpost.compile(documents(folder), to=folder / "kb", settings=Settings()).close()
    return folder / "kb"


def model(folder: Path, base: Base) -> Path:
    """A cross-encoder's folder without its network."""
    crosses._write(folder / "model", base, Dials(), weight=1.0)
    return folder / "model"


def seen(scores: list[float], docs: list[int], answers: set[int]) -> Seen:
    texts = tuple(f"text {doc}" for doc in docs[:3])
    return Seen("why", texts, np.array(scores), np.array(docs), frozenset(answers))


def test_the_value_of_a_ranking_counts_documents_once_and_those_not_found():
    one = seen([3.0, 2.0, 1.0, 0.5], [7, 7, 8, 9], {8})
    assert one.value() == pytest.approx(1 / np.log2(3))
    assert one.value(np.array([0.0, 0.0, 9.0]), 2.0) == 1.0
    assert seen([3.0, 2.0], [7, 8], {8, 99}).value() < seen([3.0, 2.0], [7, 8], {8}).value()
    assert seen([], [], {8}).value() == 0.0


def test_a_gain_within_its_error_is_refused():
    rng = np.random.default_rng(0)
    before = rng.random(100)
    assert not Verdict(before, before, 1.0).accepted
    assert not Verdict(before, before + 0.1, 0.0).accepted  # chosen weight 0: nothing would change
    assert Verdict(before, before + rng.normal(0.1, 0.3, 100), 1.0).accepted
    assert "refused" in crosses.table(Verdict(before, before - 0.1, 1.0))[-1]


def test_a_folder_with_something_else_is_left_alone(kb, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letters.txt").write_text("mine")
    with fingerpost.open(kb) as index, pytest.raises(UsageError, match="holds something else"):
        index.train_reranker(tmp_path / "taken", Course(taught()))
    assert (tmp_path / "taken" / "letters.txt").read_text() == "mine"


def test_too_few_pairs_are_named_before_anything_is_trained(kb, tmp_path):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    with fingerpost.open(kb) as index, pytest.raises(InputError, match="held out"):
        index.train_reranker(tmp_path / "new", Course(taught()[:30]))
    assert not (tmp_path / "new").exists()


def test_a_reranker_is_trained_judged_and_used(kb, tmp_path):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    steps = []
    with fingerpost.open(kb) as index:
        report = index.train_reranker(tmp_path / "own", Course(taught(), QUICK, steps.append))
    assert steps[0].done == 0
    assert steps[0].minutes_left > 0
    assert np.mean([step.loss for step in steps[-10:]]) < np.mean([step.loss for step in steps[1:11]])
    assert any("nDCG@10" in note for note in report.notes)
    assert report.counts["kept"] == 1.0, report.notes
    assert not (tmp_path / "own.draft").exists()
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == sorted(crosses.NEEDED)
    encoder = CrossEncoder(tmp_path / "own")
    asked = "how do I lift a piano"
    assert encoder.weight
    assert np.isfinite(encoder.score(asked, [f"The piano. {text}" for text in WORDS.values()])).all()
    settings = Settings.model_validate({"rerank": {"cross_encoder": str(tmp_path / "own")}})
    with fingerpost.open(kb, settings=settings) as index:
        spans, trace = index.trace(asked)
    assert spans
    assert any("cross-encoder on 20" in stage.note for stage in trace.stages)


def test_an_interrupted_training_goes_on_and_ends_in_the_same_bytes(tmp_path):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    base = load_base(ModelSettings())
    read = crosses.reader(model(tmp_path, base))
    lesson = [
        Example(f"{part} it", WORDS[part], tuple(set(WORDS.values()) - {WORDS[part]})) for part in PARTS
    ]
    dials = Dials(layers=2, depth=1, passes=6, batch=1, minutes=600)
    whole = cross.train(lesson, base, read, dials=dials)

    def stop(step: Step) -> None:
        if step.done == 7:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross, "SAVED_EVERY", 5)
        with pytest.raises(KeyboardInterrupt):
            cross.train(lesson, base, read, dials=dials, folder=tmp_path / "draft", watch=stop)
        resumed: list[Step] = []
        again = cross.train(lesson, base, read, dials=dials, folder=tmp_path / "draft", watch=resumed.append)
    assert resumed[0].done == 5
    assert again == whole


def test_the_network_served_is_the_network_trained(tmp_path):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    base = load_base(ModelSettings())
    net, read = PairNet(base.network, 1), crosses.reader(model(tmp_path, base))
    pair = read("how do I lift a piano", "The piano. " + WORDS["lift"])
    wanted = float(net.logits([pair, read("why", "x")]).detach()[0])
    graph = build_pair(base.network, net.head(), quantise=False)
    types = (np.arange(len(pair.ids)) >= pair.passage).astype(np.int32)
    feed = {"input_ids": pair.ids[None], "token_type_ids": types[None]}
    assert session(graph).run(None, feed)[0].item() == pytest.approx(wanted, abs=1e-3)


def test_what_is_trained_on_is_read_as_it_is_served(tmp_path):
    crosses._write(tmp_path / "m", load_base(ModelSettings()), Dials(pieces=24), weight=1.0)
    for query, text in (("why", "a word " * 40), ("a long question " * 20, "short"), ("both", "")):
        pair = crosses.reader(tmp_path / "m")(query, text)
        assert len(pair.ids) <= 24
        assert pair.ids[0] == 101  # BERT's [CLS]
        assert np.flatnonzero(pair.ids == 102).tolist() == [pair.passage - 1, len(pair.ids) - 1]  # [SEP]
