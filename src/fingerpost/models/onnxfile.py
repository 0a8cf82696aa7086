"""ONNX files brought by the user: checked before ONNX Runtime sees them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from fingerpost.errors import ModelError
from fingerpost.models.files import Blob

MAX_NODES = 100_000
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_UNBOUNDED = frozenset({"If", "Loop", "Scan"})
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_STATES = ("last_hidden_state", "token_embeddings")


def check(blob: Blob) -> tuple[str, int]:
    """The name of the output that holds token states [batch, t, dim], and dim.

    Raises ModelError: not ONNX, weights kept outside the file, operators that are not ONNX Runtime's own,
    loops, inputs other than input_ids, attention_mask and token_type_ids, or no such output.
    """
    try:
        model = onnx.load_model_from_string(blob.data)
    except DecodeError as error:
        raise _refuse(f"{blob.name} is not an ONNX file", "export the model again") from error
    _check_nodes(model.graph, blob.name)
    names = {node.name for node in model.graph.input} - {tensor.name for tensor in model.graph.initializer}
    if "input_ids" not in names or not names <= _INPUTS:
        raise _refuse(
            f"{blob.name} reads {sorted(names)}", f"export it with the inputs {', '.join(sorted(_INPUTS))}"
        )
    return _states(model.graph, blob.name)


def _check_nodes(graph: onnx.GraphProto, name: str) -> None:
    if len(graph.node) > MAX_NODES:
        raise _refuse(f"{name} has {len(graph.node):,} nodes", f"at most {MAX_NODES:,} are allowed")
    for node in graph.node:
        if node.domain not in _DOMAINS:
            raise _refuse(f"{name} needs operators of '{node.domain}'", "export it with standard operators")
        if node.op_type in _UNBOUNDED:
            raise _refuse(f"{name} holds a {node.op_type}", "export the plain encoder, without control flow")
    for tensor in _tensors(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise _refuse(f"{name} keeps weights outside the file", "export it as one file")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _states(graph: onnx.GraphProto, name: str) -> tuple[str, int]:
    dims = {node.name: [dim.dim_value for dim in node.type.tensor_type.shape.dim] for node in graph.output}
    named = [output for output in _STATES if output in dims] or list(dims)
    for output in named:
        if len(dims[output]) == 3 and dims[output][2] > 0:
            return output, dims[output][2]
    raise _refuse(f"{name} gives {dims}", "export it with the output last_hidden_state [batch, tokens, dim]")


def _refuse(message: str, cure: str) -> ModelError:
    return ModelError("E_MODEL", message, cure=cure)
