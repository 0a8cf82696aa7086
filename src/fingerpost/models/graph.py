"""A BERT encoder as an ONNX graph, in float32 or with 8-bit weights, made of ONNX Runtime's fused operators.

The graph reads one text at a time (``input_ids`` int32 [1, t]): activations are quantised with one scale a
tensor, so in a shared batch a text's vector would depend on its neighbours. Alone it does not, and nothing
is spent on padding. Weights are symmetric int8 with a scale a column; they use 7 of their 8 bits, because
processors without VNNI add two products in 16 bits, which 8-bit weights overflow. Word embeddings are int8
with a scale a row; norms, biases, attention and GELU stay in float32. bench/LOG.md has what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fingerpost.models.bert import Array, Bert, Layer

_LARGEST = 63  # see above
_RUNTIME = "com.microsoft"


def build(bert: Bert, *, pooling: str, quantise: bool) -> bytes:
    """The serialised graph: ``vector`` float32 [1, hidden], pooled (``mean`` or ``cls``) and of length one,
    and ``states`` float32 [1, t, hidden], every token's state of length one.
    """
    graph = _Graph(bert.shape.heads, bert.shape.epsilon, quantise)
    x = graph.embed(bert)
    for at, layer in enumerate(bert.layers):
        x = graph.layer(x, layer, f"layer{at}")
    graph.outputs(x, pooling)
    hidden = bert.shape.hidden
    return graph.serialise({"input_ids": [1, "t"]}, {"vector": [1, hidden], "states": [1, "t", hidden]})


def build_tokens(bert: Bert, weight: Array, bias: Array, *, quantise: bool) -> bytes:
    """The serialised graph of a late-interaction model: ``input_ids`` int32 [1, t] and ``attended`` int32 [1]
    give ``states`` float32 [1, t, dim], each token's state times ``weight`` [hidden, dim] plus ``bias``, of
    length one. Every token sees the first ``attended`` ones.
    """
    graph = _Graph(bert.shape.heads, bert.shape.epsilon, quantise, seen="attended")
    x = graph.embed(bert)
    for at, layer in enumerate(bert.layers):
        x = graph.layer(x, layer, f"layer{at}")
    graph.projected(x, weight, bias)
    inputs: dict[str, Sequence[int | str]] = {"input_ids": (1, "t"), "attended": (1,)}
    return graph.serialise(inputs, {"states": [1, "t", weight.shape[1]]})


@dataclass(frozen=True, slots=True)
class PairHead:
    """From the states of query and passage, read together, to one number: ``scale`` times the mean over the
    query's word pieces of their best match in the passage, weighted by softmax(states @ ``share``), and the
    first state times ``first``. Both vectors are [hidden].
    """

    share: Array
    first: Array
    scale: float


def build_pair(bert: Bert, head: PairHead, *, quantise: bool) -> bytes:
    """The serialised graph of a cross-encoder: ``input_ids`` and ``token_type_ids`` (0 = query, 1 = passage)
    int32 [1, t] give ``logits`` float32 [1, 1]. The types only tell the head which is which.
    """
    graph = _Graph(bert.shape.heads, bert.shape.epsilon, quantise)
    x = graph.embed(bert)
    for at, layer in enumerate(bert.layers):
        x = graph.layer(x, layer, f"layer{at}")
    graph.pair(x, head)
    inputs: dict[str, Sequence[int | str]] = {"input_ids": (1, "t"), "token_type_ids": (1, "t")}
    return graph.serialise(inputs, {"logits": [1, 1]})


class _Graph:
    """Nodes and constants as they are added; every method returns the name of what it computes. ``seen`` is
    the input that says how many tokens attention sees; all of them without one.
    """

    def __init__(self, heads: int, epsilon: float, quantise: bool, *, seen: str = "") -> None:
        self._heads, self._epsilon, self._quantise, self._seen = heads, epsilon, quantise, seen
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def embed(self, bert: Bert) -> str:
        words = self._rows(bert.words) if self._quantise else self._gather("words", bert.words)
        length = self._add("Shape", "input_ids", start=1, end=2)
        start = self._constant("first", np.zeros(1, np.int64))
        places = self._add("Slice", self._constant("positions", bert.positions), start, length)
        return self._norm(self._add("Add", words, places), bert.norm, "embed")

    def layer(self, x: str, layer: Layer, name: str) -> str:
        attended = self._attention(x, layer, name)
        projected = self._linear(attended, layer.out, layer.out_bias, f"{name}.out")
        x = self._norm(self._add("Add", x, projected), layer.attention_norm, f"{name}.attention")
        inner = self._linear(x, layer.inner, layer.inner_bias, f"{name}.inner")
        active = self._add("Gelu", inner, domain=_RUNTIME)
        outer = self._linear(active, layer.outer, layer.outer_bias, f"{name}.outer")
        return self._norm(self._add("Add", x, outer), layer.output_norm, f"{name}.output")

    def outputs(self, x: str, pooling: str) -> None:
        if pooling == "cls":
            pooled = self._add("Gather", x, self._constant("cls", np.array(0, np.int64)), axis=1)
        else:
            pooled = self._add("ReduceMean", x, axes=[1], keepdims=0)
        self._nodes += [
            helper.make_node("LpNormalization", [pooled], ["vector"], axis=-1, p=2),
            helper.make_node("LpNormalization", [x], ["states"], axis=-1, p=2),
        ]

    def projected(self, x: str, weight: Array, bias: Array) -> None:
        """Token vectors of a late-interaction model. The projection stays in float32: it costs little."""
        turned = self._add("MatMul", x, self._constant("projection", weight))
        moved = self._add("Add", turned, self._constant("projection.bias", bias))
        self._nodes.append(helper.make_node("LpNormalization", [moved], ["states"], axis=-1, p=2))

    def pair(self, x: str, head: PairHead) -> None:
        """The head of a cross-encoder; an offset of -4 keeps a cosine from being the best."""
        unit = self._add("LpNormalization", x, axis=-1, p=2)
        alike = self._add("MatMul", unit, self._add("Transpose", unit, perm=[0, 2, 1]))
        passage = self._add("Cast", "token_type_ids", to=TensorProto.FLOAT)
        away = self._add("Sub", passage, self._constant("one", np.array(1, np.float32)))
        away = self._add("Mul", away, self._constant("apart", np.array(4, np.float32)))
        away = self._add("Unsqueeze", away, self._constant("second", np.array([1], np.int64)))
        best = self._add("ReduceMax", self._add("Add", alike, away), axes=[2], keepdims=0)
        share = self._add("MatMul", x, self._constant("share", head.share[:, None]))
        share = self._add("Squeeze", share, self._constant("last", np.array([2], np.int64)))
        silent = self._add("Mul", passage, self._constant("silent", np.array(-1e4, np.float32)))
        share = self._add("Softmax", self._add("Add", share, silent), axis=1)
        mean = self._add("ReduceSum", self._add("Mul", best, share), "second", keepdims=1)
        start = self._add("Gather", x, self._constant("cls", np.array(0, np.int64)), axis=1)
        rest = self._add("MatMul", start, self._constant("start", head.first[:, None]))
        scaled = self._add("Mul", mean, self._constant("scale", np.array(head.scale, np.float32)))
        self._nodes.append(helper.make_node("Add", [scaled, rest], ["logits"]))

    def serialise(
        self, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, Sequence[int | str]]
    ) -> bytes:
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [info(name, TensorProto.INT32, shape) for name, shape in inputs.items()],
            [info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            self._constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_RUNTIME, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="fingerpost")
        return bytes(model.SerializeToString(deterministic=True))

    def _attention(self, x: str, layer: Layer, name: str) -> str:
        bias = self._constant(f"{name}.qkv.bias", layer.qkv_bias)
        if not self._quantise:
            weight = self._constant(f"{name}.qkv", layer.qkv)
            given = (x, weight, bias, *filter(None, [self._seen]))
            return self._add("Attention", *given, domain=_RUNTIME, num_heads=self._heads)
        weight, scale = self._columns(layer.qkv, f"{name}.qkv")
        at = len(self._nodes)
        bytes_, step, zero = (f"{name}.{part}{at}" for part in ("bytes", "step", "zero"))
        self._nodes.append(helper.make_node("DynamicQuantizeLinear", [x], [bytes_, step, zero]))
        none = self._constant(f"{name}.qkv.zero", np.array(0, np.int8))
        inputs = (bytes_, weight, bias, step, scale, self._seen, zero, none)
        return self._add("QAttention", *inputs, domain=_RUNTIME, num_heads=self._heads)

    def _linear(self, x: str, weight: Array, bias: Array, name: str) -> str:
        shift = self._constant(f"{name}.bias", bias)
        if not self._quantise:
            return self._add("Add", self._add("MatMul", x, self._constant(name, weight)), shift)
        columns = self._columns(weight, name)
        return self._add("DynamicQuantizeMatMul", x, *columns, "", shift, domain=_RUNTIME)

    def _norm(self, x: str, norm: tuple[Array, Array], name: str) -> str:
        # SkipLayerNormalization, which adds and norms in one, takes five times as long as the two
        parts = [self._constant(f"{name}.norm{at}", part) for at, part in enumerate(norm)]
        return self._add("LayerNormalization", x, *parts, epsilon=self._epsilon)

    def _rows(self, table: Array) -> str:
        """Word embeddings as int8 with a scale a row."""
        scale = _scale(np.abs(table).max(axis=1, keepdims=True), 127)
        whole = self._add("Cast", self._gather("words", _rounded(table, scale, 127)), to=TensorProto.FLOAT)
        return self._add("Mul", whole, self._gather("words.scale", scale))

    def _columns(self, weight: Array, name: str) -> tuple[str, str]:
        scale = _scale(np.abs(weight).max(axis=0), _LARGEST)
        return self._constant(name, _rounded(weight, scale, _LARGEST)), self._constant(f"{name}.scale", scale)

    def _gather(self, name: str, table: NDArray[Any]) -> str:
        return self._add("Gather", self._constant(name, table), "input_ids")

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def _add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], output, domain=domain, **attributes))
        return output


def _scale(largest: Array, steps: int) -> Array:
    return np.where(largest > 0, largest / np.float32(steps), np.array(1, np.float32)).astype(np.float32)


def _rounded(values: Array, scale: Array, steps: int) -> NDArray[np.int8]:
    rounded: NDArray[np.int8] = np.clip(np.rint(values / scale), -steps, steps).astype(np.int8)
    return rounded
