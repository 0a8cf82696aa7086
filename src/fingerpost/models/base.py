"""What an encoder is made from: its files opened and checked, and its weights where it is to be trained."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fingerpost.config import ModelSettings
from fingerpost.errors import ModelError, UsageError
from fingerpost.models import bert, sources
from fingerpost.models.files import MAX_JSON_BYTES, read, verify
from fingerpost.models.sources import Source
from fingerpost.models.tokenizer import WordPieces

_FILES = (
    *("config.json", "tokenizer.json", "sentence_bert_config.json"),
    *("config_sentence_transformers.json", "1_Pooling/config.json"),
)


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
    passage_prefix: str = ""

    def word_pieces(self, query: str) -> NDArray[np.int32]:
        """What the network reads for a query: int32 [t]."""
        return np.asarray(self.pieces.framed(self.pieces.ids(self.query_prefix + query))[0])

    def passage_pieces(self, passage: str) -> NDArray[np.int32]:
        """What the network reads of a passage: int32 [t]."""
        return np.asarray(self.pieces.framed(self.pieces.ids(self.passage_prefix + passage))[0])

    def write(self, network: bert.Bert, folder: Path) -> None:
        """Write a model folder with these weights in the place of its own: for ``models.encoder``. Raises
        UsageError where there is something at ``folder``.
        """
        if folder.exists():
            raise UsageError("E_EXISTS", f"{folder} is there already", cure="name a folder that is not")
        (folder / "1_Pooling").mkdir(parents=True)
        for name in _FILES:
            if (self.source.folder / name).is_file():
                shutil.copyfile(self.source.folder / name, folder / name)
        (folder / "model.safetensors").write_bytes(save(bert.tensors(network)))


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
    network = bert.read_weights(blob, bert.read_shape(source.config))
    return Base(network, source, pieces, prefixes.query, prefixes.passage)


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
