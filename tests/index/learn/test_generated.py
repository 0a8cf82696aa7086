"""Learning from questions that the documents themselves give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.errors import InputError, UsageError
from fingerpost.index.epoch import BALANCE
from fingerpost.index.learn import generated
from fingerpost.records import Pair
from fingerpost.retrieve import weigh
from fingerpost.retrieve.fuse import BALANCED, Balance
from fingerpost.text import query as queries

PAGES = 130
PARTS = ("valve", "piston", "rotor", "gasket", "bearing", "flange", "spindle", "nozzle", "clutch", "camshaft")
FAULTS = ("leaks", "rattles", "overheats", "jams", "slips", "cracks", "hums", "stalls", "smokes", "freezes")


def pages(folder: Path, count: int = PAGES) -> Path:
    """Pages of a repair manual, each of which says its fault twice in other words."""
    path, rng = folder / "manual.jsonl", np.random.default_rng(0)
    with path.open("w") as file:
        for at in range(count):
            part, fault = PARTS[at % 10], FAULTS[at // 10 % 10]
            others = " ".join(rng.choice(PARTS, 4))
            text = (
                f"When the {part} of model {at} {fault}, take the cover off and look at it. "
                f"A {part} that {fault} in model {at} is worn out and has to be replaced. "
                f"Order it with {others}."
            )
            record = {"_id": f"p{at}", "title": f"Model {at}: the {part} {fault}", "text": text}
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    fingerpost.compile(pages(folder), to=folder / "kb").close()
    return folder / "kb"


def test_learning_without_pairs_is_marked_as_generated(manual: Path, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(manual, tmp_path / "kb"))
    with fingerpost.open(kb, write=True) as index:
        before = index.status()["generation"]
        report = index.learn(generate=200)
        assert report.counts["generated"] == 200
        assert report.notes[0].startswith("generated questions, easier than real ones: ")
        assert report.counts["sum questions"] >= weigh.LEAST
        published = index.status()["generation"] != before
        assert published == (index.status()["fusion"] == "weighed by generated questions")
        assert published != ("nothing was changed" in report.notes)
        assert not list(index._rooms.store.pairs()) or all(
            pair.origin not in ("gold", "log") for pair in index._rooms.store.pairs()
        )


def test_the_weights_that_were_chosen_are_those_that_rank(manual: Path, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(manual, tmp_path / "kb"))
    query = "which piston jams in model 31"
    silent = Balance({leg: 1.0 if leg == "lexical" else 0.0 for leg in BALANCED.weights}, 8.0, 150)
    with fingerpost.open(kb, write=True) as index:
        index._rooms.store.republish({BALANCE: silent.to_bytes()})
        assert index.status()["fusion"] == "weighed by generated questions"
        factors = index.explain(query, k=1).children[1].children[0].children[1].children
        assert {factor.name for factor in factors} == {"lexical"}
        index.rollback()
        assert index.status()["fusion"] == "untrained"
        factors = index.explain(query, k=1).children[1].children[0].children[1].children
        assert {"lexical", "dense"} <= {factor.name for factor in factors}


def test_the_words_of_a_question_do_not_find_its_document_for_free(manual: Path) -> None:
    with fingerpost.open(manual) as index:
        rooms, snapshot = index._rooms, index._rooms.store.snapshot()
        for key, made in generated.drawn(snapshot, 30, seed=0):
            held = generated.replayed(rooms, snapshot, key, made)
            if held is None or made.kind == "words":
                continue
            keys, scores = snapshot.lexical(queries.parse(made.query), k=PAGES)
            best = float(scores[snapshot.doc_keys(keys) == key].max())
            own = held.legs["lexical"][held.right]
            assert not np.isfinite(own).any() or float(np.nanmax(own)) < best


def test_the_same_index_gives_the_same_questions(manual: Path) -> None:
    with fingerpost.open(manual) as index:
        snapshot = index._rooms.store.snapshot()
        one, other = (list(generated.drawn(snapshot, 50, seed=0)) for _ in range(2))
        assert one == other
        assert len({(key, made.kind) for key, made in one}) == 50
        assert {made.kind for _, made in one} >= {"sentence", "crop", "title", "words"}


@pytest.mark.parametrize("count", [-1, generated.MOST + 1])
def test_a_number_out_of_range_is_refused(manual: Path, count: int) -> None:
    with fingerpost.open(manual) as index, pytest.raises(UsageError, match="E_RANGE"):
        index.learn(generate=count)


def test_pairs_and_generated_ones_are_not_mixed(manual: Path) -> None:
    with fingerpost.open(manual) as index:
        with pytest.raises(UsageError, match="not mixed"):
            index.learn([Pair("a b", "p1")], generate=100)
        with pytest.raises(UsageError, match="no pairs"):
            index.learn()


def test_what_real_pairs_taught_is_not_overruled(manual: Path, tmp_path: Path) -> None:
    kb = Path(shutil.copytree(manual, tmp_path / "kb"))
    asked = ("spare parts for machine {}", "machine {} is broken", "where do I buy number {}", "manual of {}")
    with fingerpost.open(kb, write=True) as index:
        index.learn([Pair(text.format(f"M{at}x"), f"p{at}") for at in range(50) for text in asked])
        assert index.status()["fusion"] == "learned"
        with pytest.raises(UsageError, match="real pairs"):
            index.learn(generate=200)


def test_too_few_documents_are_named(tmp_path: Path) -> None:
    with fingerpost.compile(pages(tmp_path, 5), to=tmp_path / "kb") as index:
        before = index.status()["generation"]
        with pytest.raises(InputError, match="E_PAIRS") as caught:
            index.learn(generate=500)
        assert "100 needed" in caught.value.message
        assert index.status()["generation"] == before


def test_without_an_encoder_there_is_nothing_to_weigh(tmp_path: Path) -> None:
    settings = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
    compiled = fingerpost.compile(pages(tmp_path, 5), to=tmp_path / "kb", settings=settings)
    with compiled as index, pytest.raises(UsageError, match="one leg"):
        index.learn(generate=500)
