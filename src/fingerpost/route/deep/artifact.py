"""The trained query encoder as an artifact of an index. Reading it needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import FingerprintError, ModelError
from fingerpost.route.kmeans import F32
from fingerpost.route.pack import Arrays, pack, unpack

NAME = "queries.safetensors"
_KIND = "queries"
_DIGEST = 16


@dataclass(frozen=True)
class Tuned:
    """``graph``: a network for the vector of a query, trained from the encoder with that ``fingerprint``.

    ``names`` [m] are digests of the queries it was trained on (``names_of``), ``vectors`` [m, d] what an
    encoder gives them that never saw them: who learns from these queries later must not be given vectors
    that were fitted to them. ``cosine``: the best cosine from which its vectors are to be trusted as those of
    the untouched encoder are from theirs; None where that is the same.

    >>> kept = Tuned(b"graph", "ab", names_of(["q"]), np.ones((1, 2), np.float32))
    >>> again = Tuned.from_bytes(kept.to_bytes())
    >>> again.checked("ab").graph, again.held_out("q").tolist(), again.held_out("other")
    (b'graph', [1.0, 1.0], None)
    """

    graph: bytes
    fingerprint: str
    names: NDArray[np.uint8]
    vectors: F32
    cosine: float | None = None

    def checked(self, fingerprint: str) -> Tuned:
        """Itself. Raises FingerprintError where it was trained from another encoder than this one."""
        if self.fingerprint != fingerprint:
            raise FingerprintError(
                "E_FINGERPRINT",
                f"the query encoder was trained from model {self.fingerprint[:16]},"
                f" the index was made with {fingerprint[:16]}",
                cure="train again with `fingerpost train`, or roll back",
            )
        return self

    def held_out(self, query: str) -> F32 | None:
        """The vector [d] of a query it was trained on, by an encoder that was not; None for any other."""
        at = self._place.get(names_of([query]).tobytes())
        return None if at is None else self.vectors[at]

    @cached_property
    def _place(self) -> dict[bytes, int]:
        return {name.tobytes(): at for at, name in enumerate(self.names)}

    def to_bytes(self) -> bytes:
        """One artifact."""
        graph = np.frombuffer(self.graph, dtype=np.uint8)
        arrays: Arrays = {"graph": graph, "names": self.names, "vectors": self.vectors}
        return pack(_KIND, arrays, {"fingerprint": self.fingerprint, "cosine": self.cosine})

    @classmethod
    def from_bytes(cls, data: bytes) -> Tuned:
        """Read an artifact. Raises ModelError where it is no such artifact."""
        arrays, facts = unpack(_KIND, data)
        graph, names, vectors = (arrays.get(name) for name in ("graph", "names", "vectors"))
        cosine = facts.get("cosine")
        if (
            graph is None or graph.dtype != np.uint8 or graph.ndim != 1
            or names is None or names.dtype != np.uint8 or names.shape[1:] != (_DIGEST,)
            or vectors is None or vectors.dtype != np.float32 or vectors.shape[:1] != names.shape[:1]
            or not (cosine is None or (isinstance(cosine, float) and 0 < cosine <= 1))
        ):  # fmt: skip
            raise ModelError(
                "E_MODEL", "the query encoder is not whole", cure="roll back with `fingerpost rollback`"
            )
        return cls(graph.tobytes(), str(facts.get("fingerprint")), names, vectors, cosine)  # type: ignore[arg-type]


def names_of(queries: Sequence[str]) -> NDArray[np.uint8]:
    """A digest of each query: uint8 [m, 16].

    >>> names_of(["a", "b"]).shape
    (2, 16)
    """
    digests = (hashlib.blake2b(query.encode(), digest_size=_DIGEST).digest() for query in queries)
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, _DIGEST)
