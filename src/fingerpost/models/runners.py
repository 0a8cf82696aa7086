"""Running an encoder's network over one text at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Since 1.32 onnxruntime tells its makers of every session, unless this is set before it is loaded. Nothing is
# sent anywhere from here: who wants it sent sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

from fingerpost.errors import ModelError

Vector = NDArray[np.float32]


class Runner(Protocol):
    """A network. ``run`` reads int32 [1, t] and gives the text's vector [dim], and every token's state [t,
    dim] if asked for; both of length one. It may be called from several threads at once.
    """

    dim: int

    def run(self, ids: NDArray[np.int32], *, states: bool) -> tuple[Vector, Vector | None]: ...


class TokenRunner(Protocol):
    """A late-interaction network. ``run`` reads int32 [1, t], of which every piece sees the first
    ``attended``, and gives vectors [t, dim] of length one. It may be called from several threads at once.
    """

    def run(self, ids: NDArray[np.int32], *, attended: int) -> Vector: ...


class BuiltRunner:
    """A graph of models/graph.py."""

    def __init__(self, graph: bytes) -> None:
        self._session = session(graph)
        self.dim: int = self._session.get_outputs()[0].shape[1]

    def run(self, ids: NDArray[np.int32], *, states: bool) -> tuple[Vector, Vector | None]:
        """See Runner."""
        wanted = ["vector", "states"] if states else ["vector"]
        found = _run(self._session, wanted, {"input_ids": ids})
        return found[0][0], found[1][0] if states else None


class OnnxRunner:
    """An ONNX file of the user's, pooled here."""

    def __init__(self, graph: bytes, *, output: str, dim: int, pooling: str) -> None:
        self._session = session(graph)
        self._types = {node.name: _whole(node.type) for node in self._session.get_inputs()}
        self._output, self._pooling, self.dim = output, pooling, dim

    def run(self, ids: NDArray[np.int32], *, states: bool) -> tuple[Vector, Vector | None]:
        """See Runner."""
        values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        feed = {name: values[name].astype(kind) for name, kind in self._types.items()}
        tokens = _run(self._session, [self._output], feed)[0][0].astype(np.float32)
        pooled = tokens[0] if self._pooling == "cls" else tokens.mean(axis=0)
        return _unit(pooled), _unit(tokens) if states else None


class BuiltTokens:
    """A graph of ``graph.build_tokens``: see TokenRunner."""

    def __init__(self, graph: bytes) -> None:
        self._session = session(graph)
        self.dim: int = self._session.get_outputs()[0].shape[2]

    def run(self, ids: NDArray[np.int32], *, attended: int) -> Vector:
        """See TokenRunner."""
        feed = {"input_ids": ids, "attended": np.array([attended], np.int32)}
        return np.asarray(_run(self._session, ["states"], feed)[0][0], np.float32)


class OnnxTokens:
    """An ONNX file of the user's; ``turn`` is a weight [hidden, dim] and a bias for its states, if any."""

    def __init__(self, graph: bytes, *, output: str, turn: tuple[Vector, Vector] | None) -> None:
        self._session = session(graph)
        self._types = {node.name: _whole(node.type) for node in self._session.get_inputs()}
        self._output, self._turn = output, turn
        self.masked = "attention_mask" in self._types

    def run(self, ids: NDArray[np.int32], *, attended: int) -> Vector:
        """See TokenRunner."""
        seen = (np.arange(ids.shape[1]) < attended)[None]
        values = {"input_ids": ids, "attention_mask": seen, "token_type_ids": np.zeros_like(ids)}
        feed = {name: values[name].astype(kind) for name, kind in self._types.items()}
        states = _run(self._session, [self._output], feed)[0][0].astype(np.float32)
        return _unit(states if self._turn is None else states @ self._turn[0] + self._turn[1])


def session(graph: bytes) -> Any:
    """An ONNX Runtime session on one thread, without spinning: texts, not operators, are what runs side by
    side.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own classes do not share a base
        raise ModelError(
            "E_MODEL",
            f"ONNX Runtime {onnxruntime.__version__} cannot load the model: {error}",
            cure="export the model again for this version of ONNX Runtime, or update onnxruntime",
        ) from error


@contextmanager
def in_time(seconds: float | None) -> Iterator[Any]:
    """Options for ``session.run``: runs that have them fail once so many seconds are over (None: never).

    Raises ModelError E_TIMEOUT instead of what a run that was stopped says.
    """
    options = onnxruntime.RunOptions()
    if seconds is None:
        yield options
        return
    timer = Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    except Exception as error:  # the library's own classes do not share a base
        if not options.terminate:
            raise
        raise ModelError(
            "E_TIMEOUT", f"the model took more than {seconds:g} s", cure="allow it more time, or less to read"
        ) from error
    finally:
        timer.cancel()


def _run(session: Any, outputs: list[str], feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    try:
        return list(session.run(outputs, feed))
    except Exception as error:  # the library's own classes do not share a base
        raise ModelError(
            "E_MODEL",
            f"the model fails on {feed['input_ids'].shape[1]} word pieces: {error}",
            cure="check that tokenizer.json belongs to the model",
        ) from error


def _whole(kind: str) -> type[np.integer[Any]]:
    return np.int32 if kind == "tensor(int32)" else np.int64


def _unit(values: Vector) -> Vector:
    """Vectors of length one along the last axis; the zero vector stays."""
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-12), np.float32)
