"""Hostile model folders: rows M01–M07, M09–M21, M34–M43, M45 and M48–M50 of the list of hostile inputs."""

from __future__ import annotations

import json
import logging
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tests.models.conftest import CONFIG, HIDDEN, random_weights

from fingerpost.config import ModelSettings
from fingerpost.errors import ModelError
from fingerpost.models import sources
from fingerpost.models.encoder import load_encoder
from fingerpost.models.files import read


def refusal(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_encoder(ModelSettings(encoder=str(folder)), threads=1)
    assert caught.value.cure
    return caught.value


def header(text: bytes, length: int | None = None, data: bytes = b"\0" * 64) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(**changes: object) -> bytes:
    fields = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}
    return json.dumps({"embeddings.word_embeddings.weight": fields}).encode()


def two(first: list[int], second: list[int]) -> bytes:
    fields = {
        name: {"dtype": "F32", "shape": [4], "data_offsets": at} for name, at in (("a", first), ("b", second))
    }
    return json.dumps(fields).encode()


WEIGHTS = {
    "M02 empty": b"",
    "M03 random bytes": np.random.default_rng(0).bytes(10_000),
    "M05 a pickle by another name": pickle.dumps({"weight": [1.0] * 100}),
    "M09 header length 2^63": header(b"{}", 2**63),
    "M10 header beyond the file": header(b"{}", 10_000),
    "M11 header is not JSON": header(b"not json at all"),
    "M11 header is deep JSON": header(b"[" * 100_000),
    "M12 overlapping": header(two([0, 16], [8, 24])),
    "M12 out of range": header(entry(data_offsets=[0, 2**40])),
    "M12 negative": header(entry(data_offsets=[-16, 0])),
    "M12 holes": header(two([0, 16], [32, 48])),
    "M13 unknown type": header(entry(dtype="F31")),
    "M14 overflow": header(entry(shape=[2**32, 2**32, 2**32])),
    "M14 a terabyte": header(entry(shape=[10**12])),
    "M55 bfloat16": header(entry(dtype="BF16", shape=[8]), data=b"\0" * 16),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_none(model: Path, name: str) -> None:
    (model / "model.safetensors").write_bytes(WEIGHTS[name])
    assert refusal(model).code == "E_MODEL"


def test_m01_missing_files(model: Path, tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere").message
    assert "is not a folder" in refusal(model / "config.json").message
    (model / "model.safetensors").unlink()
    assert "model.safetensors" in refusal(model).message


def test_m04_a_pickle_beside_no_weights_is_never_opened(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.pt", "model.pkl", "model.joblib"):
        (model / name).write_bytes(pickle.dumps(Bomb()))
    seen: list[str] = []
    sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("pickle.") else None)
    assert refusal(model).code == "E_MODEL"
    assert seen == []
    assert "pytorch_model.bin is left alone" in caplog.text


def test_m06_m07_side_files_are_reported_and_ignored(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    (model / "optimizer.pt").write_bytes(pickle.dumps(Bomb()))
    np.save(model / "extra.npy", np.array([Bomb()], object), allow_pickle=True)
    with caplog.at_level(logging.WARNING):
        assert load_encoder(ModelSettings(encoder=str(model)), threads=1) is not None
    assert "optimizer.pt is left alone" in caplog.text
    assert "extra.npy is left alone" in caplog.text


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.abort, ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda t: t.pop("encoder.layer.1.output.dense.bias"),
            "encoder.layer.1.output.dense.bias is missing",
        ),
        (lambda t: t.update({"embeddings.LayerNorm.weight": np.ones(7, np.float32)}), r"has shape \[7\]"),
        (lambda t: t["encoder.layer.0.output.dense.weight"].__setitem__((3, 3), np.nan), "not finite"),
        (lambda t: t["embeddings.word_embeddings.weight"].__setitem__((0, 0), np.inf), "not finite"),
        (lambda t: t.update({"embeddings.LayerNorm.bias": np.ones(HIDDEN, np.int64)}), "int64"),
    ],
)
def test_m16_m17_m18_spoiled_tensors_are_named(
    model: Path, change: Callable[[dict], object], named: str
) -> None:
    tensors = random_weights()
    change(tensors)
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(ModelError, match=named):
        load_encoder(ModelSettings(encoder=str(model)), threads=1)


def test_m20_one_flipped_bit_is_found_by_the_known_digest(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = read(model / "model.safetensors").sha256
    told = sources.describe(model, weights_sha256=good)
    monkeypatch.setattr(sources, "minilm", lambda: told)
    data = bytearray((model / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (model / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_encoder(ModelSettings(), threads=1)
    assert caught.value.code == "E_CORRUPT"


def test_m20_a_flipped_bit_gives_another_fingerprint(model: Path) -> None:
    good = load_encoder(ModelSettings(encoder=str(model)), threads=1)
    data = bytearray((model / "model.safetensors").read_bytes())
    data[-2_000] ^= 1
    (model / "model.safetensors").write_bytes(data)
    other = load_encoder(ModelSettings(encoder=str(model)), threads=1)
    assert good is not None
    assert other is not None
    assert good.fingerprint != other.fingerprint


def test_m21_truncated_weights(model: Path) -> None:
    data = (model / "model.safetensors").read_bytes()
    for percent in range(100):
        (model / "model.safetensors").write_bytes(data[: len(data) * percent // 100])
        assert refusal(model).code == "E_MODEL"


def test_the_tokenizer_of_the_default_model_is_checked_too(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = sources.describe(model, tokenizer_sha256="0" * 64)
    monkeypatch.setattr(sources, "minilm", lambda: told)
    with pytest.raises(ModelError) as caught:
        load_encoder(ModelSettings(), threads=1)
    assert caught.value.code == "E_CORRUPT"


@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"trust_remote_code": True},
        {"model_type": "distilbert"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"num_attention_heads": 5},
        {"hidden_size": 10**12},
        {"hidden_size": "32"},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": True},
        {"layer_norm_eps": -1.0},
        {"vocab_size": None},
        {"max_position_embeddings": 2},
    ],
)
def test_m45_configs_that_are_refused(model: Path, change: dict[str, object]) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, **change}))
    assert refusal(model).code == "E_MODEL"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 200_000, b"\xff\xfe", b'"x"'])
def test_configs_that_are_not_json_objects(model: Path, text: bytes) -> None:
    (model / "config.json").write_bytes(text)
    assert refusal(model).code == "E_MODEL"


@pytest.mark.parametrize(
    "said", [{"pooling_mode_max_tokens": True}, {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": 1}]
)
def test_pooling_that_is_not_known(model: Path, said: dict[str, object]) -> None:
    (model / "1_Pooling" / "config.json").write_text(json.dumps(said))
    assert "pools by" in refusal(model).message


@pytest.mark.parametrize("text", [b"", b"{}", b"[" * 200_000, b"not json", b'{"model": {"type": "BPE"}}'])
def test_m42_tokenizers_that_are_none(model: Path, text: bytes) -> None:
    (model / "tokenizer.json").write_bytes(text)
    assert refusal(model).code == "E_MODEL"


def test_m41_a_tokenizer_with_its_own_pattern(model: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "regular expression" in refusal(model).message


def test_m43_word_pieces_out_of_range(model: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["z"] = 10_000
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "word piece 10,000" in refusal(model).message


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "README.md"])
def test_m48_links_inside_the_folder(model: Path, tmp_path: Path, name: str) -> None:
    (model / name).unlink(missing_ok=True)
    (tmp_path / "elsewhere").write_bytes(b"{}")
    (model / name).symlink_to(tmp_path / "elsewhere")
    assert refusal(model).code == "E_PATH"


def test_what_is_no_regular_file(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    os.mkfifo(model / "tokenizer.json")
    assert refusal(model).code == "E_PATH"


def test_m49_far_too_many_files(model: Path) -> None:
    for at in range(1_001):
        (model / f"{at}.txt").touch()
    assert refusal(model).code == "E_TOO_MANY"


def test_m50_names_that_differ_in_case(model: Path) -> None:
    (model / "Config.JSON").write_text("{}")
    assert "differ only in case" in refusal(model).message


def onnx_model(
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    op: str = "Gather",
    domain: str = "",
    opset: int = 17,
) -> onnx.ModelProto:
    """A one-layer 'encoder': a table of word vectors."""
    table = numpy_helper.from_array(
        np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32), "table"
    )
    node = helper.make_node(op, ["table", inputs[0]], ["last_hidden_state"], domain=domain)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in inputs],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "t", 16])],
        [table],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)], ir_version=9)


@pytest.fixture
def onnx_folder(model: Path) -> Path:
    (model / "model.safetensors").unlink()
    return model


def test_an_onnx_file_is_run(onnx_folder: Path) -> None:
    (onnx_folder / "model.onnx").write_bytes(onnx_model().SerializeToString())
    encoder = load_encoder(ModelSettings(encoder=str(onnx_folder)), threads=1)
    assert encoder is not None
    query = encoder.encode_query("key")
    assert (encoder.dim, query.tokens.shape) == (16, (3, 16))
    np.testing.assert_allclose(np.linalg.norm(query.vector), 1, rtol=1e-5)


def test_m34_weights_outside_the_file(onnx_folder: Path) -> None:
    model = onnx_model()
    table = model.graph.initializer[0]
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    entry = table.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    (onnx_folder / "model.onnx").write_bytes(model.SerializeToString())
    assert "outside the file" in refusal(onnx_folder).message


@pytest.mark.parametrize(
    ("graph", "named"),
    [
        (onnx_model(domain="evil.ops"), "evil.ops"),
        (onnx_model(op="Loop"), "Loop"),
        (onnx_model(inputs=("x", "y")), "reads"),
        (onnx_model(inputs=("input_ids", "pixel_values")), "reads"),
        (onnx_model(opset=999), "cannot load"),
    ],
)
def test_m35_to_m40_graphs_that_are_refused(onnx_folder: Path, graph: onnx.ModelProto, named: str) -> None:
    (onnx_folder / "model.onnx").write_bytes(graph.SerializeToString())
    assert named in refusal(onnx_folder).message


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"random bytes", pickle.dumps([1, 2, 3])])
def test_files_that_are_not_onnx(onnx_folder: Path, data: bytes) -> None:
    (onnx_folder / "model.onnx").write_bytes(data)
    assert refusal(onnx_folder).code == "E_MODEL"


def test_a_graph_that_fails_on_a_text_says_so(onnx_folder: Path) -> None:
    model = onnx_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((5, 16), np.float32), "table"))
    (onnx_folder / "model.onnx").write_bytes(model.SerializeToString())
    encoder = load_encoder(ModelSettings(encoder=str(onnx_folder)), threads=1)
    assert encoder is not None
    with pytest.raises(ModelError, match="the model fails on"):
        encoder.encode_query("key")
