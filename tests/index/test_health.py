"""What `status` says of the router, and that a lesson makes a leaf's chance mean what it says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.index.machines import corpus, nickname, pairs

import fingerpost
from fingerpost.evaluate import sections
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.markdown import markdown
from fingerpost.evaluate.page import Latency
from fingerpost.evaluate.report import Evaluation, to_json
from fingerpost.index.build import building
from fingerpost.index.epoch import ROUTER
from fingerpost.index.progress import silent
from fingerpost.route.router import Calibration, Router

TOPICS = 60
KINDS = ("spare part for the {}", "colour of the {}", "the {} makes a noise")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of several leaves that is too small to be routed."""
    folder = tmp_path_factory.mktemp("small")
    settings = fingerpost.Settings.model_validate({"route": {"leaf_chunks": 16}})
    fingerpost.compile(corpus(folder), to=folder / "kb", settings=settings).close()
    return folder / "kb"


def _routed(budget: float = 0.5) -> fingerpost.Settings:
    route = {"full_below": 0, "leaf_chunks": 16, "budget": budget, "audit": 0.0}
    return fingerpost.Settings.model_validate({"route": route})


def test_status_tells_a_router_that_rests_from_one_that_routes(small: Path) -> None:
    with fingerpost.open(small) as index:
        status = index.status()
        assert status["router_health"] == f"full search: {TOPICS} chunks, routing starts at 50,000"
        assert status["dsi"] == "none"
    with fingerpost.open(small, settings=_routed()) as index:
        health = str(index.status()["router_health"])
        assert health.startswith("routes among ")
        assert "not calibrated: run `fingerpost learn`" in health
        assert health.endswith("audits are off")


def test_status_tells_when_much_came_after_the_lesson(small: Path, tmp_path: Path) -> None:
    """Folded or not: advice used to count what waits for a fold, which no lesson changes."""
    kb = shutil.copytree(small, tmp_path / "kb")
    new = [{"_id": f"n{at}", "text": f"Zircon lamp number {at}, which came later."} for at in range(20)]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(record) + "\n" for record in new))
    with fingerpost.open(kb, write=True) as index:
        index.update(tmp_path / "new.jsonl")
        assert index.status()["advice"] == ""
        assert index.learn(pairs(count=30)).counts["fusion gain"] > 0
        assert index.status()["advice"] == ""
        (tmp_path / "new.jsonl").write_text("".join(json.dumps(r | {"title": "Lamp"}) + "\n" for r in new))
        for _ in range(2):
            index.update(tmp_path / "new.jsonl")
            assert (
                index.status()["advice"]
                == "25% of the chunks are newer than the lesson: run `fingerpost learn`"
            )
            building.fold(index._rooms, silent)


def test_an_index_of_nothing_has_no_router(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with fingerpost.compile(tmp_path / "empty", to=tmp_path / "kb") as index:
        assert str(index.status()["router_health"]).startswith("full search: ")


def test_a_lesson_makes_the_chance_of_a_leaf_mean_what_it_says(small: Path) -> None:
    """Judged by `evaluate` on questions that were not in the lesson; the router before it is far too sure."""
    asked = {
        f"{at} {kind}": (kind.format(nickname(at)), f"m{at}") for at in range(0, TOPICS, 2) for kind in KINDS
    }
    queries = {name: text for name, (text, _) in asked.items()}
    given = QuestionSet("new", "test", queries, {name: {doc: 1} for name, (_, doc) in asked.items()})
    with fingerpost.open(small, write=True, settings=_routed()) as index:
        untrained = index.evaluate(given)
        store = index._rooms.store
        router = Router.from_bytes(store.desk.artifact(ROUTER) or b"")
        store.republish({ROUTER: replace(router, calibration=Calibration(temperature=0.5)).to_bytes()})
        before = index.evaluate(given)
        report = index.learn(pairs())
        assert any(note.startswith("chance of the likeliest leaf") for note in report.notes)
        router = Router.from_bytes(store.desk.artifact(ROUTER) or b"")
        assert router.calibration.temperature > 0.5
        assert Router.from_bytes(router.to_bytes()).calibration == router.calibration
        after = index.evaluate(given)
        assert "would need" in str(index.status()["router_health"])
    assert after.leaves.shape == (len(asked), 2)
    assert max(_error(untrained), _error(after)) < 0.1 < _error(before) - 0.1
    assert f"Expected calibration error {_error(after):.3f}" in sections.routed(after)
    assert "## Chances of the router" in markdown(after, latency=Latency({}, {}, np.zeros(0)))


def test_without_an_encoder_there_are_no_chances(tmp_path: Path) -> None:
    settings = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
    with fingerpost.compile(corpus(tmp_path), to=tmp_path / "kb", settings=settings) as index:
        found = index.evaluate(QuestionSet("one", "test", {"q": "valve"}, {"q": {"m1": 1}}))
    assert not len(found.leaves)
    assert to_json(found)["calibration"] == {"first_result": None, "likeliest_leaf": None}
    assert sections.routed(found) == ""


def _error(found: Evaluation) -> float:
    """The calibration error that the report tells."""
    told = to_json(found)["calibration"]
    assert isinstance(told, dict)
    return float(told["likeliest_leaf"]["error"])
