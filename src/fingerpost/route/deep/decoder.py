"""The DSI decoder: from a query's vectors to scores of the next symbol of a docid, as ONNX.

A transformer decoder (Vaswani et al. 2017, arXiv:1706.03762; norms first) that attends to the symbols so far
and to the query as the frozen encoder gives it: the vector of the whole, then those of its word pieces. Each
step has output weights of its own, since a symbol means something else at every depth. Weights are stored as
int8 with a scale a column and multiplied in float32: 8-bit activations would have one scale a tensor, so that
a prefix's score would depend on what stands beside it in the beam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.runners import session
from fingerpost.route.kmeans import F32

LAYERS = 2
HEADS = 4
EPSILON = 1e-5
MOST_TOKENS = 48
"""Word pieces of a query that the decoder attends to."""

Weights = Mapping[str, F32]


def memory(vector: F32, tokens: F32) -> F32:
    """What the decoder attends to: [1 + t, d] of a query's ``vector`` [d] and ``tokens`` [t, d]."""
    return np.concatenate([vector[None], tokens[:MOST_TOKENS]]).astype(np.float32)


class Decoder:
    """A graph of ``build``. ``scores(memory, prefixes)`` gives [b, width] for prefixes [b, l]."""

    def __init__(self, graph: bytes) -> None:
        self._session = session(graph)

    def scores(self, memory: F32, prefixes: NDArray[np.int16]) -> F32:
        """Scores of the symbol after each prefix, for a query's ``memory`` [1 + t, d]."""
        fed = {"memory": memory[None], "prefix": prefixes.astype(np.int64)}
        return np.asarray(self._session.run(["scores"], fed)[0], np.float32)


def build(weights: Weights) -> bytes:
    """The serialised graph. ``words`` [1 + L·width, d]: the start, then each step's symbols; ``heads``
    [L, d, width].
    """
    return _Graph(weights).serialise()


class _Graph:
    """Nodes and constants as they are added; every method returns the name of what it computes."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._steps, self._hidden, self._width = weights["heads"].shape
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._put("split", np.array([0, 0, HEADS, self._hidden // HEADS], np.int64))
        self._put("join", np.array([0, 0, self._hidden], np.int64))
        self._put("scale", np.array((self._hidden // HEADS) ** -0.5, np.float32))

    def serialise(self) -> bytes:
        from onnx import TensorProto, helper  # a fifth of a second, and only training needs it

        self._decode()
        info = helper.make_tensor_value_info
        size = self._weights["in.w"].shape[0]
        graph = helper.make_graph(
            self._nodes,
            "docids",
            [
                info("memory", TensorProto.FLOAT, [1, "t", size]),
                info("prefix", TensorProto.INT64, ["b", "l"]),
            ],
            [info("scores", TensorProto.FLOAT, ["b", self._width])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="fingerpost")
        return bytes(model.SerializeToString(deterministic=True))

    def _decode(self) -> None:
        said = self._norm(self._linear("memory", "in"), "in.n")
        x, mask, step = self._prefix()
        for at in range(LAYERS):
            x = self._layer(x, said, mask, f"{at}.")
        x = self._add("Gather", self._norm(x, "n"), self._put("last", np.array(-1, np.int64)), axis=1)
        head = self._add("Squeeze", self._add("Gather", self._matrix("heads"), step, axis=0), self._first())
        bias = self._add("Gather", self._put("head_bias", self._weights["head_bias"]), step, axis=0)
        self._name(self._add("Add", self._add("MatMul", x, head), bias), "scores")

    def _prefix(self) -> tuple[str, str, str]:
        """The embedded symbols [b, 1 + l, d], which may see which [1 + l, 1 + l], and l as [1]."""
        one, starts = self._put("one", np.array([1], np.int64)), np.arange(self._steps) * self._width + 1
        step = self._add("Shape", "prefix", start=1, end=2)
        length = self._add("Add", step, one)
        shifts = self._add("Slice", self._put("starts", starts.astype(np.int64)), self._first(), step)
        words = self._add("Add", "prefix", shifts)
        words = self._add("Pad", words, self._put("before", np.array([0, 1, 0, 0], np.int64)))
        embedded = self._add("Gather", self._matrix("words"), words)
        places = self._add("Slice", self._put("places", self._weights["places"]), self._first(), length)
        later = np.triu(np.full((self._steps, self._steps), -1e9, np.float32), 1)
        both = self._put("both", np.array([0, 1], np.int64))
        ends = self._add("Concat", length, length, axis=0)
        begins = self._put("begins", np.zeros(2, np.int64))
        mask = self._add("Slice", self._put("later", later), begins, ends, both)
        return self._add("Add", embedded, places), mask, step

    def _layer(self, x: str, said: str, mask: str, name: str) -> str:
        own = self._add("Split", self._linear(self._norm(x, name + "n1"), name + "qkv"), outputs=3, axis=-1)
        query, key, value = own.split()
        x = self._add("Add", x, self._linear(self._attend(query, key, value, mask), name + "o"))
        query = self._linear(self._norm(x, name + "n2"), name + "cq")
        key, value = self._add("Split", self._linear(said, name + "ckv"), outputs=2, axis=-1).split()
        x = self._add("Add", x, self._linear(self._attend(query, key, value), name + "co"))
        inner = self._add(
            "Gelu", self._linear(self._norm(x, name + "n3"), name + "up"), domain="com.microsoft"
        )
        return self._add("Add", x, self._linear(inner, name + "down"))

    def _attend(self, query: str, key: str, value: str, mask: str = "") -> str:
        q, v = (self._heads(part, [0, 2, 1, 3]) for part in (query, value))
        found = self._add("Mul", self._add("MatMul", q, self._heads(key, [0, 2, 3, 1])), "scale")
        if mask:
            found = self._add("Add", found, mask)
        mixed = self._add("MatMul", self._add("Softmax", found, axis=-1), v)
        return self._add("Reshape", self._add("Transpose", mixed, perm=[0, 2, 1, 3]), "join")

    def _heads(self, x: str, order: list[int]) -> str:
        return self._add("Transpose", self._add("Reshape", x, "split"), perm=order)

    def _linear(self, x: str, name: str) -> str:
        product = self._add("MatMul", x, self._matrix(f"{name}.w"))
        return self._add("Add", product, self._put(f"{name}.b", self._weights[f"{name}.b"]))

    def _norm(self, x: str, name: str) -> str:
        parts = [self._put(f"{name}.{at}", self._weights[f"{name}.{at}"]) for at in range(2)]
        return self._add("LayerNormalization", x, *parts, epsilon=EPSILON)

    def _matrix(self, name: str) -> str:
        """A weight as int8 with a scale a column, made float32 where it is used."""
        codes, scale = coded(self._weights[name])
        stored = self._put(f"{name}.codes", codes), self._put(f"{name}.scale", scale)
        return self._add("Mul", self._add("Cast", stored[0], to=1), stored[1])

    def _first(self) -> str:
        return self._put("first", np.zeros(1, np.int64))

    def _put(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in {constant.name for constant in self._constants}:
            self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def _add(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """The name of the result; of several, with spaces between."""
        from onnx import helper

        names = [f"{kind}_{len(self._nodes)}_{at}" for at in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return " ".join(names)

    def _name(self, x: str, name: str) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [x], [name]))


def coded(weight: F32) -> tuple[NDArray[np.int8], F32]:
    """int8 codes and the scale of each column (the last axis).

    >>> codes, scale = coded(np.array([[1.0, -0.5], [0.5, 0.25]], np.float32))
    >>> np.abs(codes * scale - [[1.0, -0.5], [0.5, 0.25]]).max() < 0.01
    np.True_
    """
    largest = np.abs(weight).max(axis=-2, keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale
