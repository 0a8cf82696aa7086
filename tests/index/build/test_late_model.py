"""An index whose token vectors are by a late-interaction model of the user's."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.models.late_models import projection, write_dense, write_minilm

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.errors import ConfigError, FingerprintError, ModelError
from fingerpost.index import Index
from fingerpost.rerank import late
from fingerpost.store.store import Store

QUESTION = "How often are signing keys rotated?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_minilm(tmp_path_factory.mktemp("models") / "late", dim=96)


@pytest.fixture(scope="module")
def made(model: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kb = tmp_path_factory.mktemp("late") / "kb"
    fingerpost.compile(corpus / "docs", to=kb, settings=settings(model)).close()
    return kb


@pytest.fixture
def kb(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "kb"))


def settings(model: Path | str) -> Settings:
    return Settings.model_validate({"models": {"late": str(model)}})


def found(index: Index, question: str = QUESTION) -> list[tuple[str, float]]:
    return [(span.doc_id, span.score) for span in index.search(question, k=5)]


def maxsim(index: Index, question: str) -> np.ndarray:
    """What late interaction says of the search's candidates, by their codes."""
    rooms = index._rooms
    snapshot, encoder = rooms.store.snapshot(), rooms.encoder
    codec = rooms.epoch(snapshot).judges.codec
    assert encoder is not None
    assert codec is not None
    asked = encoder.encode_query(question).compared
    query = late.prepare(codec, asked.vectors, asked.ids)
    return late.maxsim(codec, query, snapshot.token_codes(snapshot.keys())).idf


def test_candidates_are_compared_by_the_model_that_is_named(kb: Path, model: Path) -> None:
    with fingerpost.open(kb) as index:
        rooms = index._rooms
        assert "maxsim_pairs" in str(index.explain(QUESTION, k=1))
        snapshot, encoder = rooms.store.snapshot(), rooms.encoder
        assert encoder is not None
        codec = rooms.epoch(snapshot).judges.codec
        assert codec is not None
        assert len(codec.mean) == 96
        chunks = snapshot.chunks(snapshot.keys())
        passages = encoder.encode_passages([chunk.passage for chunk in chunks], tokens=True)
        asked = encoder.encode_query(QUESTION).compared
        assert asked.vectors.shape == (32, 96)
        exact = np.array([(asked.vectors @ part.T).max(axis=1).mean() for part in passages.tokens])
        codes = snapshot.token_codes(snapshot.keys())
        coded = late.maxsim(codec, late.prepare(codec, asked.vectors, asked.ids), codes).plain
        assert np.corrcoef(exact, coded)[0, 1] > 0.9


def test_updates_are_encoded_by_it_and_compiling_again_changes_nothing(kb: Path, tmp_path: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        before = len(maxsim(index, QUESTION))
        (tmp_path / "new.md").write_text("# Keys\n\nA zebra rotates the signing keys every ninety days.\n")
        index.update(tmp_path / "new.md")
        scores = maxsim(index, "zebra rotates signing keys every ninety days")
        assert len(scores) > before
        assert np.isfinite(scores).all()
        assert found(index, "which zebra rotates keys?")[0][0].endswith("new.md")
        assert index.doctor() == []


def test_repair_makes_the_same_token_vectors_again(kb: Path) -> None:
    with fingerpost.open(kb) as index:
        wanted, ranked = maxsim(index, QUESTION), found(index)
    fingerpost.doctor(kb, repair=True)
    with fingerpost.open(kb) as index:
        assert index.doctor() == []
        np.testing.assert_array_equal(maxsim(index, QUESTION), wanted)
        assert found(index) == ranked


def test_a_model_that_changed_is_refused_and_nothing_is_mixed(kb: Path, model: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    write_dense(other, projection(384, 96, seed=7))
    for named, said in ((str(other), "late-interaction model"), ("", "the encoder itself")):
        with (
            fingerpost.open(kb, write=True, settings=settings(named)) as index,
            pytest.raises(FingerprintError, match=said) as caught,
        ):
            index.search(QUESTION)
        assert "models.late" in caught.value.cure
        with pytest.raises(FingerprintError):
            fingerpost.compile(tmp_path, to=kb, settings=settings(named))
    with Store.open(kb) as store:
        assert "+" in store.fingerprint
    with fingerpost.open(kb) as index:
        assert found(index)


def test_an_index_without_one_is_not_opened_with_one(tiny_kb: Path, model: Path) -> None:
    with (
        fingerpost.open(tiny_kb, settings=settings(model)) as index,
        pytest.raises(FingerprintError, match="by the encoder itself, those of queries by late"),
    ):
        index.search(QUESTION)


def test_a_folder_that_went_is_named(kb: Path) -> None:
    with (
        fingerpost.open(kb, settings=settings("nowhere/colbert")) as index,
        pytest.raises(ModelError, match="nowhere/colbert does not exist"),
    ):
        index.search(QUESTION)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[models]\nlate = "x"\n[store]\nlate = false', "store.late = true"),
        ('effort = 1\n[models]\nlate = "x"', "store.late = true"),
        ('[models]\nlate = "x"\nencoder = "none"', "set models.encoder"),
    ],
)
def test_a_model_that_would_not_be_used_is_an_error(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.late") as caught:
        parse(text)
    assert said in caught.value.cure
