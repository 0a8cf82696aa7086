"""A learned sparse leg with a real network: it finds what only the model knows, and is neutral without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import ModelError
from fingerpost.index import Index
from fingerpost.index.build import expanding
from fingerpost.index.search import gathering
from fingerpost.index.search.ranking import Asked
from fingerpost.models.splade import SparseEncoder, load_sparse
from fingerpost.records import Trace
from fingerpost.retrieve.sparse import Postings
from fingerpost.text import query as queries

WORDS = ["[UNK]", "automobile", "car", "oil", "needs", "garden", "gate", "rusts", "vehicle", "wheel", "the"]
ALIKE = {"car": {"automobile": 2.0, "vehicle": 1.0}, "automobile": {"car": 1.0, "vehicle": 1.0}}
TEXTS = {
    "a.md": "# Notes\n\nThe automobile needs oil.\n",
    "b.md": "# Notes\n\nThe garden gate rusts.\n",
    "c.md": "# Notes\n\nThe vehicle has one wheel.\n",
}


def write_model(folder: Path, alike: dict[str, dict[str, float]], *, bad: bool = False) -> Path:
    """A masked language model of one layer: every word stands for itself and for those it is like."""
    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"vocab_size": len(WORDS), "max_position_embeddings": 64}))
    table = np.full((len(WORDS), len(WORDS)), -1.0, np.float32)
    for at in range(1, len(WORDS) - 1):
        table[at, at] = 2.0
    for word, others in alike.items():
        for other, value in others.items():
            table[WORDS.index(word), WORDS.index(other)] = value
    if bad:
        table[:] = np.nan
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"], axis=0)
    graph = helper.make_graph(
        [node],
        "words",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, None, len(WORDS)])],
        [numpy_helper.from_array(table, "table")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, folder / "model.onnx")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    load_sparse.cache_clear()
    return write_model(tmp_path / "splade", ALIKE)


def settings(model: Path | str) -> Settings:
    return Settings.model_validate({"models": {"encoder": "none", "sparse": str(model)}})


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    return folder


def ids(index: Index, query: str, **more: object) -> list[str]:
    return [span.doc_id for span in index.search(query, **more)]  # type: ignore[arg-type]


def test_a_word_that_only_the_model_knows_finds_its_document(docs: Path, tmp_path: Path, model: Path) -> None:
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)) as index:
        assert ids(index, "car") == ["a.md", "c.md"]
        trace = index.trace("car")[1]
        assert next(stage for stage in trace.stages if stage.name == "retrieve").counts["sparse"] == 2
        assert "sparse" in str(index.explain("car", k=1))
        assert ids(index, "car", filters=["path:c*"]) == ["c.md"]
        index.delete("a.md")
        assert ids(index, "car") == ["c.md"]
        assert index.doctor() == []
    with fingerpost.compile(docs, to=tmp_path / "plain", settings=settings("")) as plain:
        assert ids(plain, "car") == []


def test_without_its_model_an_index_is_as_it_would_be_without_the_leg(
    docs: Path, tmp_path: Path, model: Path
) -> None:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)).close()
    fingerpost.compile(docs, to=tmp_path / "plain", settings=settings("")).close()
    other = write_model(tmp_path / "other", {})
    broken = write_model(tmp_path / "broken", {}, bad=True)
    with fingerpost.open(tmp_path / "plain") as plain:
        wanted = [(span.doc_id, span.score) for span in plain.search("the vehicle needs oil")]
    said = {"": "", str(other): "not the model", str(tmp_path / "nowhere"): "E_MODEL"}
    for named, why in {**said, str(broken): "not the model"}.items():
        with fingerpost.open(tmp_path / "kb", settings=settings(named)) as index:
            spans, trace = index.trace("the vehicle needs oil")
        assert [(s.doc_id, s.score) for s in spans] == wanted
        assert_told(trace, why)
    with fingerpost.open(tmp_path / "plain", settings=settings(model)) as index:  # made without one
        spans, trace = index.trace("the vehicle needs oil")
    assert [(s.doc_id, s.score) for s in spans] == wanted
    assert_told(trace, "no weights by models.sparse")


def assert_told(trace: Trace, why: str) -> None:
    """The trace says why there was no sparse leg, or nothing of one."""
    [note] = [stage.note for stage in trace.stages if stage.name == "retrieve"]
    assert why in note
    assert ("no sparse leg" in note) == bool(why)


def test_a_lesson_replays_what_only_the_model_finds(docs: Path, tmp_path: Path, model: Path) -> None:
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)) as index:
        rooms, snapshot = index._rooms, index._rooms.store.snapshot()
        asked = Asked(queries.parse("car"), None)
        found = gathering.replayed(rooms, snapshot, rooms.epoch(snapshot), asked)
        assert {snapshot.doc_key(name) for name in ("a.md", "c.md")} == set(found.docs.tolist())


def test_what_is_newer_than_the_fold_is_neutral_and_in_after_it(
    docs: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)) as index:
        (docs / "d.md").write_text("# Notes\n\nOne more automobile.\n")
        index.update(docs / "d.md")
        assert "d.md" in ids(index, "automobile")  # by BM25
        assert "d.md" not in ids(index, "car")
    encoded: list[str] = []
    encode = SparseEncoder.encode

    def counted(self: SparseEncoder, text: str, *, most: int) -> object:
        encoded.append(text)
        return encode(self, text, most=most)

    monkeypatch.setattr(SparseEncoder, "encode", counted)
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)) as index:
        assert len(encoded) == 1  # the other chunks keep theirs
        assert set(ids(index, "car")) == {"a.md", "c.md", "d.md"}


def test_a_model_named_later_is_used_by_the_next_compile(docs: Path, tmp_path: Path, model: Path) -> None:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=settings("")).close()
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model)) as index:
        assert ids(index, "car") == ["a.md", "c.md"]
    other = write_model(tmp_path / "other", {"car": {"gate": 3.0}})
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(other)) as index:
        assert ids(index, "car") == ["b.md"]


def test_an_interrupted_run_goes_on(
    docs: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=settings("")).close()
    monkeypatch.setattr(expanding, "BATCH", 1)
    monkeypatch.setattr(expanding, "KEPT_EVERY", 1)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "expand" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model), progress=stop)
    seen: list[int] = []
    fingerpost.compile(
        docs,
        to=tmp_path / "kb",
        settings=settings(model),
        progress=lambda stage, done, total: seen.append(total or 0) if stage == "expand" else None,
    ).close()
    assert seen == [2, 2]  # of three chunks one was kept


def test_folders_that_hold_no_sparse_model_are_named(docs: Path, tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(tmp_path / "nowhere"))
    broken = write_model(tmp_path / "broken", {}, bad=True)
    with pytest.raises(ModelError, match="NaN"):
        fingerpost.compile(docs, to=tmp_path / "kb2", settings=settings(broken))
    (model / "config.json").write_text(json.dumps({"vocab_size": 999, "max_position_embeddings": 64}))
    with pytest.raises(ModelError, match="not a weight for each of 999"):
        SparseEncoder(model).encode("car", most=5)
    shutil.copy(model / "config.json", model / "model.onnx")
    with pytest.raises(ModelError):
        SparseEncoder(model)


def test_weights_are_those_of_splade_max(model: Path) -> None:
    found = SparseEncoder(model).encode("car automobile", most=9)
    told = dict(zip([WORDS[term] for term in found.terms], found.weights.tolist(), strict=True))
    assert told == pytest.approx({"automobile": np.log(3), "car": np.log(3), "vehicle": np.log(2)})


@given(st.lists(st.dictionaries(st.integers(0, 19), st.floats(0.25, 4, width=16)), max_size=12), st.data())
def test_scores_are_dot_products_and_rows_come_back(
    rows: list[dict[int, float]], data: st.DataObject
) -> None:
    keys = np.array(data.draw(st.permutations(range(100, 100 + len(rows)))), np.int64)
    given_rows = [
        (np.array(sorted(row), np.int32), np.array([row[term] for term in sorted(row)], np.float32))
        for row in rows
    ]
    made = Postings.build(keys, given_rows, vocabulary=20, fingerprint="f")
    again = Postings.from_bytes(made.to_bytes())
    query = (np.array([1, 5, 7], np.int32), np.array([1.0, 0.5, 2.0], np.float32))
    weights = dict(zip(*(part.tolist() for part in query), strict=True))
    wanted = {
        int(key): sum(value * weights.get(term, 0.0) for term, value in row.items())
        for key, row in zip(keys, rows, strict=True)
    }
    told = dict(zip(again.keys.tolist(), again.score(*query).tolist(), strict=True))
    assert told == pytest.approx(wanted, abs=1e-3)
    kept, back = again.only(keys[: len(keys) // 2])
    for key, (terms, held) in zip(kept.tolist(), back, strict=True):
        row = rows[keys.tolist().index(key)]
        assert dict(zip(terms.tolist(), held.tolist(), strict=True)) == pytest.approx(row)


def test_bytes_that_are_no_postings_are_named() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        Postings.from_bytes(b"nothing")
