"""The encoder: text → vectors, one for the text and one for each of its word pieces.

    encoder = load_encoder(Settings().models, threads=2)
    encoded = encoder.encode_passages(["Rotate the signing key every 90 days."], tokens=True)
    query = encoder.encode_query("how often do I rotate keys?")
    score = encoded.vectors @ query.vector

Every text passes through the network alone, on one thread; ``threads`` of them run side by side. So a
text's vectors are the same bytes whatever is encoded with it, in whatever order, on however many threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import ModelSettings
from fingerpost.errors import ModelError
from fingerpost.models.base import Prefixes, opened
from fingerpost.models.build import Network, digest, network
from fingerpost.models.late import LateEncoder, Tokens, load_late
from fingerpost.models.runners import BuiltRunner, Runner
from fingerpost.models.tokenizer import WordPieces
from fingerpost.spread import side_by_side

Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""

_SLICE = 64
"""Texts after which progress is told."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Passages: ``vectors`` float32 [n, dim] of length one. With ``tokens=True``, for each passage the
    vectors of its word pieces (float32 [t, dim], of length one, special pieces left out) and their ids
    (int32 [t]); by the late-interaction model where there is one.
    """

    vectors: Vectors
    tokens: list[Vectors]
    token_ids: list[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query: ``vector`` float32 [dim], ``tokens`` float32 [t, dim], all of length one; ``token_ids``
    int32 [t]. ``untouched`` [dim] is the vector by the encoder's own network, where another was trained for
    queries; ``late`` are vectors by a late-interaction model, where there is one.
    """

    vector: Vectors
    tokens: Vectors
    token_ids: NDArray[np.int32]
    untouched: Vectors | None = None
    late: Tokens | None = None

    @property
    def compared(self) -> Tokens:
        """The vectors that late interaction compares with those of passages."""
        return self.late or Tokens(self.tokens, self.token_ids)

    def plain(self) -> EncodedQuery:
        """The query as the encoder's own network gives it."""
        return self if self.untouched is None else replace(self, vector=self.untouched, untouched=None)


class Encoder:
    """Made by ``load_encoder``. Thread-safe.

    ``dim`` is the length of a vector, ``max_tokens`` how many word pieces of a text are read (prefix
    included, special ones not), ``fingerprint`` names all that the vectors depend on: weights, tokenizer,
    pooling, prefixes, precision, and after a ``+`` all that those of a late-interaction model depend on.
    ``threads`` is how many texts run side by side.
    """

    def __init__(
        self,
        network: Network,
        pieces: WordPieces,
        *,
        prefixes: Prefixes,
        threads: int = 1,
        late: LateEncoder | None = None,
    ) -> None:
        self._runner, self._pieces, self.threads = network.runner, pieces, threads
        self._tuned: Runner | None = None
        self._late = late
        self.dim = network.runner.dim
        self.max_tokens = pieces.room
        self.query_prefix, self.passage_prefix = prefixes.query, prefixes.passage
        self.fingerprint = digest(
            [network.digest, pieces.sha256, pieces.room, prefixes.query, prefixes.passage]
        ) + (f"+{late.fingerprint}" if late else "")

    def encode_passages(
        self,
        texts: Sequence[str],
        *,
        tokens: bool = False,
        threads: int = 0,
        progress: Progress | None = None,
    ) -> Encoded:
        """Vectors of ``texts``; what exceeds ``max_tokens`` word pieces is not read. On as many ``threads``
        as the encoder has, or on 1: the caller's.
        """
        encoded = Encoded(np.zeros((len(texts), self.dim), np.float32), [], [])
        work = partial(self._passage, tokens=tokens)
        threads = threads or self.threads
        for start in range(0, len(texts), _SLICE):
            found = side_by_side(work, texts[start : start + _SLICE], threads)
            for at, (vector, states, ids) in enumerate(found, start):
                encoded.vectors[at] = vector
                if states is not None:
                    encoded.tokens.append(states)
                    encoded.token_ids.append(ids)
            if progress:
                progress(min(start + _SLICE, len(texts)), len(texts))
        return encoded

    def encode_query(self, text: str) -> EncodedQuery:
        """The vectors of one query, from one pass, and another where there is a late-interaction model."""
        found = self._query(text, prefix=self.query_prefix)
        if self._late is not None:
            found = replace(found, late=self._late.query(text))
        if self._tuned is None:
            return found
        moved, _ = self._tuned.run(self._framed(self.query_prefix + text), states=False)
        return replace(found, vector=moved, untouched=found.vector)

    def encode_evidence(self, text: str) -> EncodedQuery:
        """A made-up passage that asks for others like it: encoded as passages are."""
        found = self._query(text, prefix=self.passage_prefix)
        return found if self._late is None else replace(found, late=self._late.passage(text))

    def with_queries(self, graph: bytes) -> Encoder:
        """This encoder with a network of its own for the vector of a query (a graph of models/graph.py).

        Passages, and the word pieces' vectors of queries, stay as they were, and so does the fingerprint: no
        vector of an index has to be made anew. Raises ModelError where the graph cannot be used here.
        """
        tuned = BuiltRunner(graph)
        if tuned.dim != self.dim:
            raise ModelError(
                "E_MODEL",
                f"the query encoder gives {tuned.dim} dimensions, the index has {self.dim}",
                cure="train again with `fingerpost train`, or roll back",
            )
        changed = copy(self)
        changed._tuned = tuned
        return changed

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, special ones not counted, not truncated."""
        return [len(self._pieces.ids(text)) for text in texts]

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Character offsets int32 [t, 2] of every word piece of ``text``, not truncated."""
        return self._pieces.offsets(text)

    def _query(self, text: str, *, prefix: str) -> EncodedQuery:
        vector, states, ids = self._encode(text, prefix=prefix, tokens=True)
        return EncodedQuery(
            vector, states if states is not None else np.zeros((0, self.dim), np.float32), ids
        )

    def _passage(self, text: str, *, tokens: bool) -> tuple[Vectors, Vectors | None, NDArray[np.int32]]:
        if self._late is None or not tokens:
            return self._encode(text, prefix=self.passage_prefix, tokens=tokens)
        vector, _, _ = self._encode(text, prefix=self.passage_prefix, tokens=False)
        found = self._late.passage(text)
        return vector, found.vectors, found.ids

    def _encode(
        self, text: str, *, prefix: str, tokens: bool
    ) -> tuple[Vectors, Vectors | None, NDArray[np.int32]]:
        ids = self._framed(prefix + text)
        vector, states = self._runner.run(ids, states=tokens)
        own = self._pieces.content(ids.shape[1])
        return vector, None if states is None else states[own], ids[0, own]

    def _framed(self, text: str) -> NDArray[np.int32]:
        return self._pieces.framed(self._pieces.ids(text))


def load_encoder(settings: ModelSettings, *, threads: int = 0, precision: str = "int8") -> Encoder | None:
    """The encoder that the settings name, None for 'none' (BM25 only). ``threads`` 0 means one a core.

    ``precision`` 'float32' leaves the weights as they are: at less than half the speed, for comparisons.
    The first load of a model builds its network (seconds) and keeps it in the user's cache folder. Raises
    ModelError where the model is missing, damaged, or of a kind that is not loaded.
    """
    if settings.encoder == "none":
        return None
    source, pieces, prefixes = opened(settings)
    late = load_late(Path(settings.late).expanduser(), precision=precision) if settings.late else None
    return Encoder(
        network(source, pieces, precision=precision),
        pieces,
        prefixes=prefixes,
        threads=threads or os.cpu_count() or 1,
        late=late,
    )
