"""The trained DSI as an artifact of an index: docids and their decoder. Asking it needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import FingerprintError, ModelError
from fingerpost.route.deep.artifact import names_of
from fingerpost.route.deep.beam import ranked
from fingerpost.route.deep.decoder import Decoder, memory
from fingerpost.route.deep.docids import Docids
from fingerpost.route.kmeans import F32, I64
from fingerpost.route.pack import Arrays, expect, pack, unpack
from fingerpost.route.succession import GONE

NAME = "dsi.safetensors"
_KIND = "dsi"
_DIGEST = 16
_KINDS = {
    "graph": "uint8",
    "symbols": "int16",
    "keys": "int64",
    "names": "uint8",
    "proposed": "int64",
    "chances": "float32",
}
SHORTLIST = 10
"""Documents that it proposes for a query."""


@dataclass(frozen=True)
class Generative:
    """``graph`` (decoder.py) speaks ``docids``, for queries of the encoder with that ``fingerprint``.

    ``names`` [m] are digests of the queries it was trained on, ``proposed`` [m, SHORTLIST] the keys of the
    documents that a decoder proposed for them which never saw them (GONE where there are fewer), ``chances``
    [m, SHORTLIST] their log-probabilities.
    """

    graph: bytes
    docids: Docids
    fingerprint: str
    names: NDArray[np.uint8]
    proposed: I64
    chances: F32

    def ranked(self, vector: F32, tokens: F32) -> Iterator[tuple[int, float]]:
        """Keys of the documents that stand, most probable first, with log-probabilities, for a query's
        ``vector`` [d] and ``tokens`` [t, d].
        """
        scores = partial(self._decoder.scores, memory(vector, tokens))
        for row, chance in ranked(self.docids, scores, live=self.docids.keys != GONE):
            yield int(self.docids.keys[row]), chance

    def held_out(self, query: str) -> tuple[I64, F32] | None:
        """What was proposed for a query it was trained on, by a decoder that was not; None for any other."""
        at = self._place.get(names_of([query]).tobytes())
        if at is None:
            return None
        here = self.proposed[at] != GONE
        return self.proposed[at][here], self.chances[at][here]

    def renamed(self, successors: Mapping[int, int | None]) -> Generative:
        """The same after documents were replaced or deleted, oldest first: see ``Docids.renamed``."""
        if not successors:
            return self
        proposed = self.proposed.copy()
        for old, new in successors.items():
            proposed[proposed == old] = GONE if new is None else new
        changed = replace(self, docids=self.docids.renamed(successors), proposed=proposed)
        vars(changed)["_decoder"] = self._decoder  # loading it again would cost more than a query
        return changed

    def checked(self, fingerprint: str) -> Generative:
        """Itself. Raises FingerprintError where it was trained on another encoder's vectors."""
        if self.fingerprint != fingerprint:
            raise FingerprintError(
                "E_FINGERPRINT",
                f"the DSI was trained with model {self.fingerprint[:16]},"
                f" the index was made with {fingerprint[:16]}",
                cure="train again with `fingerpost train --kind dsi`, or roll back",
            )
        return self

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.graph)

    @cached_property
    def _place(self) -> dict[bytes, int]:
        return {name.tobytes(): at for at, name in enumerate(self.names)}

    def to_bytes(self) -> bytes:
        """One artifact."""
        arrays: Arrays = {
            "graph": np.frombuffer(self.graph, dtype=np.uint8),
            "symbols": self.docids.symbols,
            "keys": self.docids.keys,
            "names": self.names,
            "proposed": self.proposed,
            "chances": self.chances,
        }
        return pack(_KIND, arrays, {"fingerprint": self.fingerprint})

    @classmethod
    def from_bytes(cls, data: bytes) -> Generative:
        """Read an artifact. Raises ModelError where it is no such artifact, or not whole."""
        arrays, facts = unpack(_KIND, data)
        count, asked = (len(arrays[name]) if name in arrays else 0 for name in ("keys", "names"))
        length = arrays["symbols"].shape[-1] if "symbols" in arrays else 0
        shapes = {"symbols": (count, length), "keys": (count,)}
        lists = {"proposed": (asked, SHORTLIST), "chances": (asked, SHORTLIST)}
        expect(_KIND, arrays, {**shapes, **lists, "names": (asked, _DIGEST)})
        if any(name not in arrays or arrays[name].dtype != kind for name, kind in _KINDS.items()):
            raise ModelError("E_MODEL", "the DSI is not whole", cure="roll back with `fingerpost rollback`")
        found: dict[str, Any] = {name: arrays[name].copy() for name in _KINDS}
        docids = Docids(found["symbols"], found["keys"])
        fingerprint = str(facts.get("fingerprint"))
        given = (found[name] for name in ("names", "proposed", "chances"))
        return cls(found["graph"].tobytes(), docids, fingerprint, *given)
