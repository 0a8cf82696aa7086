"""The network of a late-interaction model: built here from a BERT's weights and a projection, taken from the
cache where it was built before, or an ONNX file run as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.models import bert, build, cache
from fingerpost.models.build import BUILDER, digest
from fingerpost.models.cache import Built
from fingerpost.models.files import Blob
from fingerpost.models.multivector import Parts, Projection
from fingerpost.models.runners import BuiltTokens, OnnxTokens, TokenRunner

Samples = Sequence[tuple[NDArray[np.int32], int]]
"""Texts as the network reads them: word pieces [t], and how many of them are seen."""


@dataclass(frozen=True, slots=True)
class TokenNetwork:
    """A network ready to run, its vectors ``dim`` long; ``digest`` names what they depend on."""

    runner: TokenRunner
    dim: int
    digest: str


def network(parts: Parts, samples: Samples, *, precision: str) -> TokenNetwork:
    """The network of an opened folder in ``precision`` ('int8', where ``samples`` come out as in float32, or
    'float32').

    Raises ModelError where it has no projection, or one that does not fit.
    """
    if parts.onnx is not None:
        return _given(parts, parts.onnx)
    weights, projection = parts.weights, parts.projection
    if weights is None or projection is None:
        raise ModelError(
            "E_MODEL",
            "the model has no projection: neither a Dense module nor linear.weight",
            cure="fetch the model again, with its 1_Dense folder",
        )
    shape = bert.read_shape(parts.config)
    _check_width(projection, shape.hidden)
    key = digest([BUILDER, "tokens", weights.sha256, dict(parts.config), projection.sha256, precision])
    built = cache.get(key)
    if built is None:
        built = _export(bert.read_weights(weights, shape), projection, samples, precision)
        cache.put(key, built)
    own = digest([weights.sha256, projection.sha256, built.precision])
    return TokenNetwork(BuiltTokens(built.graph), projection.weight.shape[1], own)


def _export(exact: bert.Bert, projection: Projection, samples: Samples, precision: str) -> Built:
    from fingerpost.models import graph  # onnx costs 0.2 s to import and is seldom needed

    turn = projection.weight, projection.bias
    whole = graph.build_tokens(exact, *turn, quantise=False)
    if precision != "int8":
        return Built(whole, "float32")
    small = graph.build_tokens(exact, *turn, quantise=True)
    return build.settled(whole, small, build.agreement(_vectors(whole, samples), _vectors(small, samples)))


def _vectors(graph: bytes, samples: Samples) -> NDArray[np.float32]:
    runner = BuiltTokens(graph)
    return np.concatenate([runner.run(pieces[None], attended=seen) for pieces, seen in samples])


def _given(parts: Parts, blob: Blob) -> TokenNetwork:
    """An ONNX file whose output is token vectors, or states that the projection turns into them."""
    from fingerpost.models import onnxfile  # see _export

    output, dim = onnxfile.check(blob)
    projection, turn = parts.projection, ""
    if projection is not None and dim == projection.weight.shape[1] != projection.weight.shape[0]:
        projection = None  # the export holds it already
    if projection is not None:
        _check_width(projection, dim)
        dim, turn = projection.weight.shape[1], projection.sha256
    pair = (projection.weight, projection.bias) if projection else None
    runner = OnnxTokens(blob.data, output=output, turn=pair)
    if parts.framing.expand and not parts.framing.attend and not runner.masked:
        raise ModelError(
            "E_MODEL",
            f"{blob.name} does not read attention_mask, and the words of a query must not see what fills it",
            cure="export it with attention_mask among its inputs",
        )
    return TokenNetwork(runner, dim, digest([blob.sha256, turn, "as given"]))


def _check_width(projection: Projection, width: int) -> None:
    if projection.weight.shape[0] != width:
        raise ModelError(
            "E_MODEL",
            f"the projection reads {projection.weight.shape[0]} dimensions, the network gives {width}",
            cure="put the projection and the weights of one model into the folder",
        )
