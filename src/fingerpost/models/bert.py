"""A BERT encoder as plain arrays: its shape from config.json, its float32 weights from safetensors, both
checked.

Devlin et al. 2019, BERT (doi:10.18653/v1/N19-1423); as a sentence encoder: Reimers and Gurevych 2019,
Sentence-BERT (doi:10.18653/v1/D19-1410).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from fingerpost.errors import ModelError
from fingerpost.models.files import Blob

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says about the network."""

    hidden: int
    layers: int
    heads: int
    inner: int
    positions: int
    vocabulary: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer. Matrices are [in, out]; query, key and value stand side by side in ``qkv``."""

    qkv: Array
    qkv_bias: Array
    out: Array
    out_bias: Array
    attention_norm: tuple[Array, Array]
    inner: Array
    inner_bias: Array
    outer: Array
    outer_bias: Array
    output_norm: tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Bert:
    """``words`` [vocabulary, hidden]; ``positions`` [positions, hidden], the first token type added in."""

    shape: Shape
    words: Array
    positions: Array
    norm: tuple[Array, Array]
    layers: tuple[Layer, ...]


def read_shape(config: Mapping[str, Any]) -> Shape:
    """The network's shape. Raises ModelError where it is not a plain BERT, or a number is out of range.

    A model that brings its own code (``auto_map``) is refused: no code of a model is ever run.
    """
    if "auto_map" in config or config.get("trust_remote_code"):
        raise ModelError(
            "E_MODEL",
            "the model wants to run its own code (auto_map)",
            cure="export it to ONNX and name that folder",
        )
    kind, gelu = config.get("model_type"), config.get("hidden_act", "gelu")
    if kind != "bert" or gelu != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            "E_MODEL",
            f"a model of type {kind!r} with activation {gelu!r} is not a plain BERT",
            cure="export it to ONNX and put model.onnx in the folder",
        )
    shape = Shape(
        hidden=_number(config, "hidden_size", 8192),
        layers=_number(config, "num_hidden_layers", 96),
        heads=_number(config, "num_attention_heads", 256),
        inner=_number(config, "intermediate_size", 65536),
        positions=_number(config, "max_position_embeddings", 65536),
        vocabulary=_number(config, "vocab_size", 2_000_000),
        epsilon=_epsilon(config),
    )
    if shape.hidden % shape.heads:
        raise ModelError(
            "E_MODEL",
            f"hidden_size {shape.hidden} is not a multiple of num_attention_heads {shape.heads}",
            cure="fetch the model again",
        )
    return shape


def read_weights(blob: Blob, shape: Shape) -> Bert:
    """The weights in a safetensors file. Raises ModelError that names a tensor missing, misshapen or not
    finite.
    """
    return _Reader(read_tensors(blob), shape).bert()


def read_tensors(blob: Blob) -> dict[str, NDArray[Any]]:
    """The tensors in a safetensors file, as they are. Raises ModelError where it is none."""
    try:
        return dict(load_safetensors(blob.data))
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise ModelError(
            "E_MODEL",
            f"{blob.name} is not a usable safetensors file: {error}",
            cure="fetch the model again as safetensors",
            detail=blob.name,
        ) from error


def take(tensors: Mapping[str, NDArray[Any]], name: str, *dims: int | None) -> Array:
    """A tensor in float32, checked for shape (None: whatever it is), kind and finite numbers. Raises
    ModelError that names it.
    """
    tensor = tensors.get(name)
    if tensor is None:
        raise _refuse(name, "is missing")
    wanted = tuple(have if want is None else want for have, want in zip(tensor.shape, dims, strict=False))
    if tensor.ndim != len(dims) or tensor.shape != wanted or not tensor.size:
        raise _refuse(name, f"has shape {list(tensor.shape)}, the config asks for {list(dims)}")
    if tensor.dtype not in (np.float32, np.float16):
        raise _refuse(name, f"has type {tensor.dtype}; float32 and float16 are read")
    if not np.isfinite(tensor).all():
        raise _refuse(name, "holds numbers that are not finite")
    return tensor.astype(np.float32, copy=False)


def tensors(bert: Bert) -> dict[str, Array]:
    """The weights by the names that ``read_weights`` reads: the other way round."""
    found = {
        "embeddings.word_embeddings.weight": bert.words,
        "embeddings.position_embeddings.weight": bert.positions,
        "embeddings.token_type_embeddings.weight": np.zeros((2, bert.shape.hidden), np.float32),
        **_norm_tensors("embeddings.LayerNorm", bert.norm),
    }
    for at, layer in enumerate(bert.layers):
        name = f"encoder.layer.{at}."
        parts = zip(np.split(layer.qkv, 3, axis=1), np.split(layer.qkv_bias, 3), strict=True)
        linear = {
            f"attention.self.{part}": both
            for part, both in zip(("query", "key", "value"), parts, strict=True)
        }
        linear |= {"attention.output.dense": (layer.out, layer.out_bias)}
        linear |= {"intermediate.dense": (layer.inner, layer.inner_bias)}
        linear |= {"output.dense": (layer.outer, layer.outer_bias)}
        for part, (weight, bias) in linear.items():
            found |= {f"{name}{part}.weight": np.ascontiguousarray(weight.T), f"{name}{part}.bias": bias}
        found |= _norm_tensors(f"{name}attention.output.LayerNorm", layer.attention_norm)
        found |= _norm_tensors(f"{name}output.LayerNorm", layer.output_norm)
    return {name: np.ascontiguousarray(tensor) for name, tensor in found.items()}


def _norm_tensors(name: str, norm: tuple[Array, Array]) -> dict[str, Array]:
    return {f"{name}.weight": norm[0], f"{name}.bias": norm[1]}


class _Reader:
    """Takes named tensors out of a file, each checked for shape, kind and finite numbers."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], shape: Shape) -> None:
        self._tensors = tensors
        self._shape = shape
        self._prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""

    def bert(self) -> Bert:
        shape, hidden = self._shape, self._shape.hidden
        types = self._take("embeddings.token_type_embeddings.weight", None, hidden)
        return Bert(
            shape=shape,
            words=self._take("embeddings.word_embeddings.weight", shape.vocabulary, hidden),
            positions=self._take("embeddings.position_embeddings.weight", shape.positions, hidden) + types[0],
            norm=self._norm("embeddings.LayerNorm"),
            layers=tuple(self._layer(f"encoder.layer.{at}.") for at in range(shape.layers)),
        )

    def _layer(self, name: str) -> Layer:
        hidden, inner = self._shape.hidden, self._shape.inner
        parts = [
            self._linear(f"{name}attention.self.{part}", hidden, hidden) for part in ("query", "key", "value")
        ]
        out, out_bias = self._linear(f"{name}attention.output.dense", hidden, hidden)
        up, up_bias = self._linear(f"{name}intermediate.dense", hidden, inner)
        down, down_bias = self._linear(f"{name}output.dense", inner, hidden)
        return Layer(
            qkv=np.concatenate([weight for weight, _ in parts], axis=1),
            qkv_bias=np.concatenate([bias for _, bias in parts]),
            out=out,
            out_bias=out_bias,
            attention_norm=self._norm(f"{name}attention.output.LayerNorm"),
            inner=up,
            inner_bias=up_bias,
            outer=down,
            outer_bias=down_bias,
            output_norm=self._norm(f"{name}output.LayerNorm"),
        )

    def _linear(self, name: str, inputs: int, outputs: int) -> tuple[Array, Array]:
        weight = self._take(f"{name}.weight", outputs, inputs)
        return np.ascontiguousarray(weight.T), self._take(f"{name}.bias", outputs)

    def _norm(self, name: str) -> tuple[Array, Array]:
        hidden = self._shape.hidden
        return self._take(f"{name}.weight", hidden), self._take(f"{name}.bias", hidden)

    def _take(self, name: str, *dims: int | None) -> Array:
        return take(self._tensors, self._prefix + name, *dims)


def _refuse(name: str, why: str) -> ModelError:
    return ModelError("E_MODEL", f"tensor {name} {why}", cure="fetch the model again", detail=name)


def _number(config: Mapping[str, Any], key: str, most: int) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelError(
            "E_MODEL",
            f"config.json: {key} = {value!r}; 1 to {most:,} is allowed",
            cure="fetch the model again",
        )
    return value


def _epsilon(config: Mapping[str, Any]) -> float:
    value = config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float) or not 0 < value < 0.1:
        raise ModelError(
            "E_MODEL",
            f"config.json: layer_norm_eps = {value!r}; 0 to 0.1 is allowed",
            cure="fetch the model again",
        )
    return value
