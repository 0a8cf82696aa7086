"""From a model's files to a network that runs: taken from the cache, or built, compared with float32 and
kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.models import bert, cache
from fingerpost.models.cache import Built
from fingerpost.models.files import Blob, read, verify
from fingerpost.models.runners import BuiltRunner, OnnxRunner, Runner
from fingerpost.models.sources import Source
from fingerpost.models.tokenizer import WordPieces

BUILDER = 2
"""Raised whenever the same weights give another graph."""

LEAST_COSINE = 0.985
"""A network whose 8-bit vectors fall below this against float32, on average, is used in float32."""

SAMPLES = (
    "x",
    "How do I rotate the signing key?",
    "why does login fail with ERR_CONN_RESET since version 2.3.1",
    "0.1% of patients showed elevated serum levels of the protein after twelve weeks of treatment.",
    "The committee met on Tuesday to discuss the budget; no decision was reached, and the matter was put off "
    "until spring, when the new figures will have been audited and the absent members can take part again.",
    "def merge(intervals): return sorted(set(intervals), key=lambda pair: pair[0])",
    "Preheat the oven to 220 °C, line a tray with baking paper and chop the onions finely.",
    "Paris is the capital of France.",
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run; ``digest`` names weights, pooling and precision."""

    runner: Runner
    digest: str


def network(source: Source, pieces: WordPieces, *, precision: str) -> Network:
    """The network of ``source`` in ``precision`` ('int8', or 'float32'). An ONNX file is run as it is.

    Where the digest of the weights is known beforehand and the graph is in the cache, the weights are not
    read: the graph was built from the bytes with that digest, and its own digest is checked. Otherwise they
    are read and hashed.
    """
    if source.onnx is not None:
        return _given(source.onnx, source.pooling)
    blob = None if source.weights_sha256 else read(source.weights)
    sha256 = source.weights_sha256 or (blob.sha256 if blob else "")
    key = digest([BUILDER, sha256, source.config, source.pooling, precision])
    built = cache.get(key)
    if built is None:
        built = _build(verify(blob or read(source.weights), sha256), source, pieces, precision)
        cache.put(key, built)
    return Network(BuiltRunner(built.graph), digest([sha256, source.pooling, built.precision]))


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON.

    >>> digest(["a", 1])[:8]
    '135f17a4'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _given(path: Path, pooling: str) -> Network:
    from fingerpost.models import onnxfile  # onnx costs 0.2 s to import and is seldom needed

    blob = read(path)
    output, dim = onnxfile.check(blob)
    runner = OnnxRunner(blob.data, output=output, dim=dim, pooling=pooling)
    return Network(runner, digest([blob.sha256, pooling, "as given"]))


def _build(weights: Blob, source: Source, pieces: WordPieces, precision: str) -> Built:
    return export(bert.read_weights(weights, bert.read_shape(source.config)), source, pieces, precision)


def export(network: bert.Bert, source: Source, pieces: WordPieces, precision: str) -> Built:
    """The graph of a network with these weights; in float32 where 8 bits do not suit them."""
    from fingerpost.models import graph  # see _given

    exact = graph.build(network, pooling=source.pooling, quantise=False)
    if precision != "int8":
        return Built(exact, "float32")
    small = graph.build(network, pooling=source.pooling, quantise=True)
    return settled(exact, small, agreement(_vectors(exact, pieces), _vectors(small, pieces)))


def settled(exact: bytes, small: bytes, cosine: float) -> Built:
    """The 8-bit graph, or the exact one where the cosine between their vectors is too low."""
    if cosine >= LEAST_COSINE:
        _log.info("built the 8-bit network: mean cosine to float32 %.4f", cosine)
        return Built(small, "int8")
    _log.warning("8-bit weights do not suit this model (cosine %.3f to float32): float32 is used", cosine)
    return Built(exact, "float32")


def agreement(exact: NDArray[np.float32], small: NDArray[np.float32]) -> float:
    """Mean cosine of unit vectors [n, dim], row by row. Raises ModelError where one of them is no number."""
    if not np.isfinite(exact).all() or not np.isfinite(small).all():
        raise ModelError(
            "E_MODEL", "the model gives vectors that are not finite", cure="fetch the model again"
        )
    return float((exact * small).sum(axis=1).mean())


def _vectors(graph: bytes, pieces: WordPieces) -> NDArray[np.float32]:
    """What a graph gives for a few texts."""
    runner = BuiltRunner(graph)
    return np.stack([runner.run(pieces.framed(pieces.ids(text)), states=False)[0] for text in SAMPLES])
