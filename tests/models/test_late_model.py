"""Late-interaction models by path: against a BERT by the book, in every layout, and what is no such model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file
from tests.models import late_models
from tests.models.late_models import DIM, projection, write_dense, write_json, write_modules
from tests.models.test_encoder import numpy_bert, unit

from fingerpost.config import ModelSettings
from fingerpost.errors import ModelError
from fingerpost.models.encoder import load_encoder
from fingerpost.models.files import read
from fingerpost.models.late import NO_WORD, load_late
from fingerpost.models.tokenizer import WordPieces

QUERY, PASSAGE = "do it ok?", "rotate the keys. then wait."
WRITERS = {
    "PyLate": late_models.write_pylate,
    "the first ColBERT": late_models.write_first,
    "sentence-transformers": late_models.write_sentence_transformers,
}
MARKERS = {
    "PyLate": ("[Q] ", "[D] ", 16, False, ".?"),
    "the first ColBERT": ("[unused0]", "[unused1]", 16, False, ".?"),
    "sentence-transformers": ("[unused0]", "", 12, True, "."),
}


@pytest.fixture
def pylate(small_model: Path, tmp_path: Path) -> Path:
    return late_models.write_pylate(tmp_path / "late", small_model / "tokenizer.json")


def book(folder: Path, ids: list[int], seen: int) -> np.ndarray:
    """Token vectors by the book."""
    stored = load_file(folder / "model.safetensors")
    weights = {name.removeprefix("bert."): value for name, value in stored.items()}
    return unit(numpy_bert(weights, ids, seen=seen) @ projection().T.astype(np.float64))


@pytest.mark.parametrize("layout", WRITERS)
def test_vectors_are_those_of_a_colbert_by_the_book(small_model: Path, tmp_path: Path, layout: str) -> None:
    folder = WRITERS[layout](tmp_path / "late", small_model / "tokenizer.json")
    ask, tell, length, attend, skip = MARKERS[layout]
    pieces = WordPieces(read(folder / "tokenizer.json"), vocabulary=1000, max_length=64)
    own = [2, pieces.piece(ask), *pieces.ids(QUERY), 3]
    filled = own + [pieces.piece("[MASK]")] * (length - len(own))
    model = load_late(folder, precision="float32")
    found = model.query(QUERY)
    assert len(filled) > len(own)
    np.testing.assert_allclose(
        found.vectors, book(folder, filled, len(filled) if attend else len(own)), atol=3e-6
    )
    words = [at for at, piece in enumerate(found.ids.tolist()) if piece != NO_WORD]
    assert found.ids[words].tolist() == pieces.ids(QUERY)
    assert words[0] == 2
    told = [2, *([pieces.piece(tell)] if tell else []), *pieces.ids(PASSAGE), 3]
    kept = [at for at, piece in enumerate(told) if piece not in {pieces.piece(word) for word in skip}]
    passage = model.passage(PASSAGE)
    assert passage.ids.tolist() == [told[at] for at in kept]
    assert len(kept) < len(told)
    np.testing.assert_allclose(passage.vectors, book(folder, told, len(told))[kept], atol=3e-6)


@pytest.mark.parametrize("layout", WRITERS)
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path, layout: str, small_model: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    folder = WRITERS[layout](tmp_path / "late", small_model / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | SPECIAL)
    theirs, model = (
        library.MultiVectorEncoder(str(folder), device="cpu"),
        load_late(folder, precision="float32"),
    )
    np.testing.assert_allclose(theirs.encode_query(QUERY), model.query(QUERY).vectors, atol=3e-6)
    np.testing.assert_allclose(theirs.encode_document(PASSAGE), model.passage(PASSAGE).vectors, atol=3e-6)


SPECIAL = {
    "mask_token": "[MASK]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
}


def test_eight_bits_stay_near_float32_and_come_from_the_cache(pylate: Path, cache_folder: Path) -> None:
    exact, small = load_late(pylate, precision="float32"), load_late(pylate)
    for left, right in ((exact.query(QUERY), small.query(QUERY)), (exact.passage("x"), small.passage("x"))):
        assert (left.vectors * right.vectors).sum(axis=1).mean() > 0.97
    built = sorted(cache_folder.glob("*.onnx"))
    again = load_late(pylate)
    assert sorted(cache_folder.glob("*.onnx")) == built
    assert len(built) == 2
    np.testing.assert_array_equal(again.query(QUERY).vectors, small.query(QUERY).vectors)
    assert again.fingerprint == small.fingerprint
    assert again.dim == DIM


def test_a_long_passage_is_read_in_parts_and_a_long_query_whole(pylate: Path) -> None:
    model = load_late(pylate)
    text = "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 4
    pieces = WordPieces(read(pylate / "tokenizer.json"), vocabulary=1000, max_length=64)
    ids, words = model.passage(text).ids.tolist(), pieces.ids(text)
    assert [piece for piece in ids if piece in words] == words
    parts = [" ".join(text.split()[at : at + 27]) for at in range(0, 104, 27)]
    together = np.concatenate([model.passage(part).vectors for part in parts])
    np.testing.assert_array_equal(model.passage(text).vectors, together)
    asked = model.query("a b c d e f g h i j k l m n o p q r s t u v w x y z")
    assert len(asked.ids) == 26 + 3
    assert len(model.query(text).ids) == 64  # all that the network has positions for
    assert model.passage("").vectors.shape == (3, DIM)


def exported(folder: Path, *, projected: bool) -> None:
    """Put an ONNX export in the place of the weights, made of standard operators and their states."""
    states = [0.0] * DIM if projected else [0.0] * late_models.HIDDEN
    table = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    values = table @ projection().T if projected else table
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["seen"], to=kind.FLOAT),
        helper.make_node("ReduceMean", ["seen"], ["share"], axes=[1], keepdims=1),
        helper.make_node("Unsqueeze", ["share", "two"], ["wide"]),
        helper.make_node("Add", ["words", "wide"], ["last_hidden_state"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "states",
        [info(name, kind.INT64, [1, "t"]) for name in ("input_ids", "attention_mask")],
        [info("last_hidden_state", kind.FLOAT, [1, "t", len(states)])],
        [
            onnx.numpy_helper.from_array(np.ascontiguousarray(values), "table"),
            onnx.numpy_helper.from_array(np.array([2]), "two"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        folder / "model.onnx",
    )
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("projected", [False, True])
def test_an_onnx_export_is_run_and_projected_where_it_is_not(pylate: Path, projected: bool) -> None:
    words = load_file(pylate / "model.safetensors")["embeddings.word_embeddings.weight"].astype(np.float64)
    exported(pylate, projected=projected)
    model = load_late(pylate)
    found = model.query("a b")
    ids = [2, len(late_models.WORDS) + 1, 4, 5, 3] + [len(late_models.WORDS)] * 11
    share = 5 / 16  # attention sees five of sixteen pieces
    turn = projection().T.astype(np.float64)
    wanted = words[ids] @ turn + share if projected else (words[ids] + share) @ turn
    np.testing.assert_allclose(found.vectors, unit(wanted), atol=1e-5)
    assert model.dim == DIM


def test_all_that_changes_vectors_changes_the_fingerprint(pylate: Path, tmp_path: Path) -> None:
    prints = [load_late(pylate).fingerprint]
    for name, spoil in {
        "projection": lambda f: write_dense(f, projection(seed=2)),
        "framing": change(SETTINGS, query_length=17),
        "weights": lambda f: nudge(f, "encoder.layer.0.output.dense.bias"),
        "skip list": change(SETTINGS, skiplist_words=[]),
    }.items():
        folder = shutil.copytree(pylate, tmp_path / name)
        spoil(folder)
        prints.append(load_late(folder).fingerprint)
    assert len(set(prints)) == len(prints)


def nudge(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = tensors[name] + np.float32(0.5)
    save_file(tensors, folder / "model.safetensors")


def test_an_encoder_hands_out_the_vectors_of_its_late_model(small_model: Path, pylate: Path) -> None:
    own = load_encoder(ModelSettings(encoder=str(small_model)), threads=2)
    both = load_encoder(ModelSettings(encoder=str(small_model), late=str(pylate)), threads=2)
    assert own is not None
    assert both is not None
    late = load_late(pylate)
    assert both.fingerprint == f"{own.fingerprint}+{late.fingerprint}"
    asked, plain = both.encode_query(QUERY), own.encode_query(QUERY)
    np.testing.assert_array_equal(asked.vector, plain.vector)
    np.testing.assert_array_equal(asked.tokens, plain.tokens)  # the DSI's memory is made of these
    np.testing.assert_array_equal(asked.compared.vectors, late.query(QUERY).vectors)
    np.testing.assert_array_equal(plain.compared.vectors, plain.tokens)
    texts = [PASSAGE, "x", "", QUERY * 9]
    found = both.encode_passages(texts, tokens=True)
    np.testing.assert_array_equal(found.vectors, own.encode_passages(texts).vectors)
    for at, text in enumerate(texts):
        np.testing.assert_array_equal(found.tokens[at], late.passage(text).vectors)
        np.testing.assert_array_equal(found.token_ids[at], late.passage(text).ids)
    np.testing.assert_array_equal(
        both.encode_evidence(PASSAGE).compared.vectors, late.passage(PASSAGE).vectors
    )


def change(name: str, **changed: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / name
        write_json(path, {**json.loads(path.read_text()), **changed})

    return spoil


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def unmasked(folder: Path) -> None:
    exported(folder, projected=True)
    model = onnx.load(folder / "model.onnx")
    model.graph.node[1].input[0] = "input_ids"
    del model.graph.input[1]
    onnx.save(model, folder / "model.onnx")


def chained(folder: Path) -> None:
    write_dense(folder, projection(16, 8), "2_Dense")
    write_modules(folder, "1_Dense", "2_Dense")


SETTINGS, DENSE = "config_sentence_transformers.json", "1_Dense/config.json"
SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (without("model.safetensors"), "model.safetensors"),
    "no tokenizer": (without("tokenizer.json"), "tokenizer.json"),
    "no config": (without("config.json"), "not a plain BERT"),
    "no settings": (without(SETTINGS), "does not say how a late-interaction model frames"),
    "no projection": (lambda f: shutil.rmtree(f / "1_Dense"), "1_Dense|model.safetensors|in_features"),
    "a projection of nothing": (write_modules, "no projection"),
    "pickled projection": (
        lambda f: (f / "1_Dense/model.safetensors").rename(f / "1_Dense/pytorch_model.bin"),
        "model.safetensors",
    ),
    "a projection of another width": (change(DENSE, out_features=7), "linear.weight has shape"),
    "a projection for another network": (
        lambda f: write_dense(f, projection(48, 8)),
        "reads 48 dimensions, the network gives 32",
    ),
    "projections that do not fit": (chained, "2_Dense gives|gives 24 dimensions, 2_Dense reads 16"),
    "a curve": (
        change(DENSE, activation_function="torch.nn.Tanh"),
        "not a plain projection",
    ),
    "a residual": (change(DENSE, use_residual=True), "not a plain projection"),
    "not a number": (lambda f: write_dense(f, projection() * np.float32(np.nan)), "not finite"),
    "another tokenizer": (change("config.json", vocab_size=20), "tokenizer.json names word piece"),
    "no such mask": (
        lambda f: (f / "tokenizer.json").write_text(
            (f / "tokenizer.json").read_text().replace("[MASK]", "[MUSK]")
        ),
        r"filled up with \[MASK\]",
    ),
    "prefix is no text": (change(SETTINGS, query_prefix=3), "query_prefix = 3"),
    "length is no number": (change(SETTINGS, document_length="long"), "document_length = 'long'"),
    "longer than the network": (change(SETTINGS, query_length=65), "64 positions"),
    "no room": (change(SETTINGS, document_length=9), "64 positions"),
    "a flag is no flag": (change(SETTINGS, do_query_expansion="no"), "do_query_expansion = 'no'"),
    "a skip list is no list": (change(SETTINGS, skiplist_words="."), "skiplist_words"),
    "own code": (change("config.json", auto_map={"AutoModel": "x.Y"}), "own code"),
    "a module elsewhere": (lambda f: write_modules(f, "../1_Dense"), "modules.json names the folder"),
    "modules are no list": (lambda f: (f / "modules.json").write_text("{}}"), "modules.json is not"),
    "an export that sees all": (unmasked, "attention_mask"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_late_interaction_model_is_refused_by_name(pylate: Path, name: str) -> None:
    spoil, said = SPOILT[name]
    spoil(pylate)
    with pytest.raises(ModelError, match=said) as caught:
        load_late(pylate)
    assert caught.value.cure
