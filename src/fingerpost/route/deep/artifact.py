"""The trained query encoder as an artifact of an index. Reading it needs no torch."""

from __future__ import annotations

import numpy as np

from fingerpost.errors import FingerprintError, ModelError
from fingerpost.route.pack import pack, unpack

NAME = "queries.safetensors"
_KIND = "queries"


def to_bytes(graph: bytes, *, fingerprint: str, notes: tuple[str, ...] = ()) -> bytes:
    """An artifact of a graph trained from the encoder with that fingerprint.

    >>> from_bytes(to_bytes(b"graph", fingerprint="ab"), fingerprint="ab")
    b'graph'
    """
    facts = {"fingerprint": fingerprint, "notes": list(notes)}
    return pack(_KIND, {"graph": np.frombuffer(graph, dtype=np.uint8)}, facts)


def from_bytes(data: bytes, *, fingerprint: str) -> bytes:
    """The graph, for ``Encoder.with_queries``.

    Raises ModelError where it is no such artifact, FingerprintError where it was trained from another
    encoder.
    """
    arrays, facts = unpack(_KIND, data)
    if facts.get("fingerprint") != fingerprint:
        raise FingerprintError(
            "E_FINGERPRINT",
            f"the query encoder was trained from model {str(facts.get('fingerprint'))[:16]},"
            f" the index was made with {fingerprint[:16]}",
            cure="train again with `fingerpost learn`, or roll back",
        )
    graph = arrays.get("graph")
    if graph is None or graph.dtype != np.uint8 or graph.ndim != 1:
        raise ModelError(
            "E_MODEL", "the query encoder holds no graph", cure="roll back with `fingerpost rollback`"
        )
    return graph.tobytes()
