"""Artifacts as bytes: safetensors with one JSON tensor for what is not an array, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fingerpost.errors import FingerprintError, ModelError

FORMAT = 1
_HEADER = "header.json"

Arrays = dict[str, NDArray[np.generic]]


def pack(kind: str, arrays: Mapping[str, NDArray[np.generic]], facts: Mapping[str, object]) -> bytes:
    """One artifact; the same content gives the same bytes.

    >>> arrays, facts = unpack("router", pack("router", {"a": np.ones(2)}, {"n": 3}))
    >>> arrays["a"].tolist(), facts["n"]
    ([1.0, 1.0], 3)
    """
    head = json.dumps({"kind": kind, "format": FORMAT, "facts": dict(facts)}, sort_keys=True).encode()
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save({**tensors, _HEADER: np.frombuffer(head, dtype=np.uint8).copy()}))


def unpack(kind: str, data: bytes) -> tuple[Arrays, dict[str, object]]:
    """Arrays and facts of an artifact of this kind.

    Raises ModelError E_MODEL when the bytes are not such an artifact or hold NaN or infinity,
    FingerprintError E_FINGERPRINT when it is of another format version.
    """
    try:
        arrays: Arrays = dict(load(data))
        head = json.loads(arrays.pop(_HEADER).tobytes())
        found, version, facts = head["kind"], head["format"], dict(head["facts"])
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _broken(kind, f"cannot be read: {error}") from error
    if found != kind:
        raise _broken(kind, f"is a {found!r} artifact")
    if version != FORMAT:
        raise FingerprintError(
            "E_FINGERPRINT",
            f"the {kind} has format {version}, this version reads {FORMAT}",
            cure="train again with `fingerpost learn`, or use the version that wrote it",
        )
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise _broken(kind, f"holds NaN or infinity in {name!r}")
    return arrays, facts


def expect(kind: str, arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ModelError unless each named array is there with its shape."""
    for name, shape in shapes.items():
        found = arrays[name].shape if name in arrays else None
        if found != shape:
            raise _broken(kind, f"has {name!r} of shape {found}, expected {shape}")


def _broken(kind: str, what: str) -> ModelError:
    return ModelError(
        "E_MODEL",
        f"the {kind} {what}",
        cure="roll back with `fingerpost rollback`, or train again",
        detail=kind,
    )
