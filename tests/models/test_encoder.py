"""The encoder: against a plain numpy BERT, whatever the company, and as MiniLM."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.models.conftest import HEADS, HIDDEN, LAYERS

from fingerpost.config import ModelSettings
from fingerpost.models import build, cache, sources
from fingerpost.models.encoder import Encoder, load_encoder

TEXTS = ["how do i rotate the key?", "x", "the cat sat on the mat. " * 20, "", "e4012 again", "?" * 300]


def load(folder: Path | str, **settings: str) -> Encoder:
    encoder = load_encoder(ModelSettings(encoder=str(folder), **settings), threads=2)
    assert encoder is not None
    return encoder


def numpy_bert(weights: dict[str, np.ndarray], ids: list[int], *, seen: int | None = None) -> np.ndarray:
    """Token states [t, hidden] by the book, in float64; attention sees the first ``seen`` pieces."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]

    gelu = np.vectorize(lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))))
    x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        q, k, v = (
            linear(x, f"{name}attention.self.{part}").reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(HIDDEN / HEADS)
        scores[:, :, seen:] = -np.inf if seen is not None else scores[:, :, seen:]
        share = np.exp(scores - scores.max(-1, keepdims=True))
        context = (share / share.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), HIDDEN)
        x = norm(x + linear(context, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        inner = gelu(linear(x, f"{name}intermediate.dense"))
        x = norm(x + linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")
    return x


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.mark.parametrize("text", ["how do i rotate the key?", "x", "e4012 again"])
def test_float32_equals_a_bert_by_the_book(small_model: Path, text: str) -> None:
    encoder = load_encoder(ModelSettings(encoder=str(small_model)), threads=1, precision="float32")
    assert encoder is not None
    found = encoder.encode_query(text)
    states = numpy_bert(load_file(small_model / "model.safetensors"), [2, *found.token_ids.tolist(), 3])
    np.testing.assert_allclose(found.vector, unit(states.mean(0)), atol=2e-6)
    np.testing.assert_allclose(found.tokens, unit(states[1:-1]), atol=2e-6)


def test_eight_bits_stay_near_float32(small_model: Path) -> None:
    exact = load_encoder(ModelSettings(encoder=str(small_model)), threads=1, precision="float32")
    assert exact is not None
    small = load(small_model)
    cosines = (exact.encode_passages(TEXTS).vectors * small.encode_passages(TEXTS).vectors).sum(1)
    assert cosines.min() > 0.98
    assert small.fingerprint != exact.fingerprint


def test_a_text_has_the_same_bytes_in_any_company(small_model: Path) -> None:
    encoder = load(small_model)
    together = encoder.encode_passages(TEXTS * 30, tokens=True)
    for at, text in enumerate(TEXTS):
        alone = encoder.encode_passages([text], tokens=True)
        for copy in range(at, len(TEXTS) * 30, len(TEXTS)):
            assert together.vectors[copy].tobytes() == alone.vectors[0].tobytes()
            assert together.tokens[copy].tobytes() == alone.tokens[0].tobytes()
        assert encoder.encode_query(text).vector.tobytes() == alone.vectors[0].tobytes()


def test_shapes_lengths_and_kinds(small_model: Path) -> None:
    encoder = load(small_model)
    encoded = encoder.encode_passages(TEXTS, tokens=True)
    counts = [min(count, encoder.max_tokens) for count in encoder.count_tokens(TEXTS)]
    assert encoder.dim == HIDDEN
    assert encoder.max_tokens == 46
    assert encoded.vectors.dtype == np.float32
    assert [tokens.shape for tokens in encoded.tokens] == [(count, HIDDEN) for count in counts]
    assert [ids.shape for ids in encoded.token_ids] == [(count,) for count in counts]
    assert {tokens.dtype for tokens in encoded.tokens} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(encoded.tokens[2], axis=1), 1, atol=1e-5)


def test_no_texts_and_no_tokens(small_model: Path) -> None:
    encoder = load(small_model)
    assert encoder.encode_passages([]).vectors.shape == (0, HIDDEN)
    assert encoder.encode_passages(["x"]).tokens == []


def test_progress_counts_to_the_end(small_model: Path) -> None:
    seen: list[tuple[int, int]] = []
    load(small_model).encode_passages(["x"] * 150, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(64, 150), (128, 150), (150, 150)]


def test_offsets_are_those_of_the_word_pieces(small_model: Path) -> None:
    encoder = load(small_model)
    text = "Rotate É key"
    pieces = encoder.offsets(text)
    assert pieces.dtype == np.int32
    assert [text[start:end] for start, end in pieces] == [*"Rotate", "É", *"key"]
    assert encoder.count_tokens([text, ""]) == [10, 0]
    assert encoder.offsets("").shape == (0, 2)


def test_prefixes_are_read_and_part_of_the_fingerprint(model: Path) -> None:
    plain = load(model)
    named = load(model, query_prefix="query. ")
    assert named.encode_query("key").vector.tobytes() == plain.encode_query("query. key").vector.tobytes()
    assert (
        named.encode_passages(["key"]).vectors.tobytes() == plain.encode_passages(["key"]).vectors.tobytes()
    )
    prompts = {"prompts": {"query": "query. ", "passage": "passage. "}}
    (model / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    said = load(model)
    assert (said.query_prefix, said.passage_prefix) == ("query. ", "passage. ")
    assert len({plain.fingerprint, named.fingerprint, said.fingerprint}) == 3


def test_pooling_by_cls(model: Path) -> None:
    mean = load(model)
    (model / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    cls = load_encoder(ModelSettings(encoder=str(model)), threads=1, precision="float32")
    assert cls is not None
    found = cls.encode_query("key")
    states = numpy_bert(load_file(model / "model.safetensors"), [2, *found.token_ids.tolist(), 3])
    np.testing.assert_allclose(found.vector, unit(states[0]), atol=2e-6)
    assert cls.fingerprint != mean.fingerprint


def test_the_second_load_takes_the_cached_graph(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(small_model)
    monkeypatch.setattr(build, "_build", None)
    second = load(small_model)
    assert second.fingerprint == first.fingerprint
    assert second.encode_query("key").vector.tobytes() == first.encode_query("key").vector.tobytes()


def test_a_damaged_cached_graph_is_built_again(
    small_model: Path, cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load(small_model)
    graph = next(cache_folder.glob("*.onnx"))
    good = graph.read_bytes()
    for damaged in (good[:-1], bytes([*good[:5000], good[5000] ^ 1, *good[5001:]]), b""):
        graph.write_bytes(damaged)
        assert (
            load(small_model).encode_query("key").vector.tobytes()
            == first.encode_query("key").vector.tobytes()
        )
        assert graph.read_bytes() == good
    assert "built again" in caplog.text


def test_without_a_cache_folder_the_graph_is_built_each_time(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FINGERPOST_CACHE", str(tmp_path / "file" / "cache"))
    assert load(small_model).encode_query("key").vector.shape == (HIDDEN,)
    assert "cannot be written" in caplog.text


def test_building_twice_gives_the_same_bytes(small_model: Path, cache_folder: Path) -> None:
    digests = set()
    for _ in range(2):
        load(small_model)
        graph = next(cache_folder.glob("*.onnx"))
        digests.add(hashlib.sha256(graph.read_bytes()).hexdigest())
        graph.unlink()
    assert len(digests) == 1


def test_where_eight_bits_do_not_suit_float32_is_used(
    small_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(build, "LEAST_COSINE", 1.1)
    encoder = load(small_model)
    exact = load_encoder(ModelSettings(encoder=str(small_model)), threads=1, precision="float32")
    assert exact is not None
    assert "float32 is used" in caplog.text
    assert encoder.fingerprint == exact.fingerprint


def test_no_encoder() -> None:
    assert load_encoder(ModelSettings(encoder="none")) is None


def test_importing_the_package_loads_no_runtime() -> None:
    heavy = {"numpy", "onnx", "onnxruntime", "tokenizers"}
    program = f"import fingerpost, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encoder]:
    if sources.find_spec(sources.MODULE) is None:
        pytest.skip(f"needs {sources.PACKAGE}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINGERPOST_CACHE", str(tmp_path_factory.mktemp("cache")))
        logging.getLogger("fingerpost.models").setLevel(logging.INFO)
        yield load("minilm")


def test_minilm_knows_what_belongs_together(minilm: Encoder) -> None:
    passages = ["Keys are rotated every 90 days.", "A cat sat on a mat.", "Paris is the capital of France."]
    scores = (
        minilm.encode_passages(passages).vectors
        @ minilm.encode_query("when is the signing key replaced?").vector
    )
    assert scores.argmax() == 0
    assert (minilm.dim, minilm.max_tokens) == (384, 254)
    assert sources.MODULE not in sys.modules


def test_minilm_in_eight_bits_agrees_with_float32(minilm: Encoder) -> None:
    exact = load_encoder(ModelSettings(), threads=1, precision="float32")
    assert exact is not None
    texts = list(build.SAMPLES)
    cosines = (minilm.encode_passages(texts).vectors * exact.encode_passages(texts).vectors).sum(1)
    assert cosines.mean() >= 0.99


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("FINGERPOST_CACHE")
    assert cache.folder() == tmp_path / ".cache" / "fingerpost"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "fingerpost"
    monkeypatch.setenv("FINGERPOST_CACHE", str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own"
