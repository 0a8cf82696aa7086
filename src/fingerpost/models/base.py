"""What an encoder is made from: its files opened and checked, and its weights where it is to be trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import ModelSettings
from fingerpost.errors import ModelError
from fingerpost.models import bert, sources
from fingerpost.models.files import MAX_JSON_BYTES, read, verify
from fingerpost.models.sources import Source
from fingerpost.models.tokenizer import WordPieces


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What a model wants before queries and before passages, such as ``"query: "``."""

    query: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """An encoder as training needs it: its weights, what it reads, and how it is exported again."""

    network: bert.Bert
    source: Source
    pieces: WordPieces
    query_prefix: str

    def word_pieces(self, query: str) -> NDArray[np.int32]:
        """What the network reads for a query: int32 [t]."""
        return np.asarray(self.pieces.framed(self.pieces.ids(self.query_prefix + query))[0])


def load_base(settings: ModelSettings) -> Base:
    """The weights of the encoder that the settings name.

    Raises ModelError where there is none, or only an ONNX file, which cannot be trained.
    """
    if settings.encoder == "none":
        raise ModelError("E_MODEL", "there is no encoder to train", cure="compile with one")
    source, pieces, prefixes = opened(settings)
    if source.onnx is not None:
        raise ModelError(
            "E_MODEL",
            f"{source.onnx.name} cannot be trained",
            cure="put the model's own model.safetensors in its folder",
        )
    blob = read(source.weights)
    if source.weights_sha256:
        verify(blob, source.weights_sha256)
    return Base(bert.read_weights(blob, bert.read_shape(source.config)), source, pieces, prefixes.query)


def opened(settings: ModelSettings) -> tuple[Source, WordPieces, Prefixes]:
    """Where the encoder's files are, its word pieces, and what it wants before a text. Raises ModelError."""
    minilm = settings.encoder == "minilm"
    source = sources.minilm() if minilm else sources.describe(Path(settings.encoder).expanduser())
    blob = read(source.folder / "tokenizer.json", limit=MAX_JSON_BYTES)
    if source.tokenizer_sha256:
        verify(blob, source.tokenizer_sha256)
    pieces = WordPieces(blob, vocabulary=source.vocabulary, max_length=source.max_length)
    prefixes = Prefixes(
        settings.query_prefix or source.query_prefix, settings.passage_prefix or source.passage_prefix
    )
    return source, pieces, prefixes
