"""Learned sparse vectors from a model of the user's: SPLADE and its kin, as an ONNX file.

    weight of word piece j = max over the text's pieces i of log(1 + relu(logit[i, j]))

(SPLADE-max, Formal et al. 2021, doi:10.48550/arXiv.2109.10086.) A network that gives one row a text, [1, V],
has pooled already: its numbers are the weights. The folder holds the ONNX file, ``tokenizer.json`` and
``config.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.models import files, runners
from fingerpost.models.tokenizer import WordPieces

MOST_PIECES = 256
FILES = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx")


@dataclass(frozen=True, slots=True)
class Sparse:
    """Word pieces, ascending int32 [t], and their weights, float32 [t], all above 0."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]


class SparseEncoder:
    """A sparse encoder from a folder. It may be used from several threads at once."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError E_MODEL where the folder holds no such model."""
        files.check_folder(folder)
        graph = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if graph is None:
            cure = f"export the model to ONNX, as one of {', '.join(FILES)}"
            raise ModelError("E_MODEL", f"{folder} holds no ONNX file", cure=cure)
        config = files.read_json(folder / "config.json")
        network, blob = files.read(graph), files.read(folder / "tokenizer.json")
        self._session = runners.session(network.data)
        self._inputs = {node.name: node.type for node in self._session.get_inputs()}
        self.vocabulary = int(config.get("vocab_size", 0))
        most = min(int(config.get("max_position_embeddings", MOST_PIECES)), MOST_PIECES)
        self._pieces = WordPieces(blob, vocabulary=self.vocabulary, max_length=most)
        self.fingerprint = sha256(f"{network.sha256} {blob.sha256} {most}".encode()).hexdigest()

    def encode(self, text: str, *, most: int) -> Sparse:
        """The ``most`` heaviest word pieces of a text. Raises ModelError for a network that does not fit."""
        ids = self._pieces.framed(self._pieces.ids(text)).astype(np.int64)
        values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        feed = {
            name: values[name].astype(np.int32 if kind == "tensor(int32)" else np.int64)
            for name, kind in self._inputs.items()
            if name in values
        }
        return heaviest(_pooled(self._run(feed), self.vocabulary), most)

    def _run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            return np.asarray(self._session.run(None, feed)[0], np.float32)
        except Exception as error:  # the library's own classes do not share a base
            cure = "check that config.json and tokenizer.json belong to the model"
            raise ModelError("E_MODEL", f"the sparse model fails: {error}", cure=cure) from error


def _pooled(output: NDArray[np.float32], vocabulary: int) -> NDArray[np.float32]:
    if output.ndim < 2 or output.shape[0] != 1 or output.shape[-1] != vocabulary or output.ndim > 3:
        raise ModelError(
            "E_MODEL",
            f"the sparse model gives {output.shape}, not a weight for each of {vocabulary:,} word pieces",
            cure="export a masked language model with its head, as SPLADE is",
        )
    weights = np.log1p(np.maximum(output[0].max(axis=0), 0)) if output.ndim == 3 else output[0]
    if not np.isfinite(weights).all():
        cure = "use float32 weights"
        raise ModelError("E_MODEL", "the sparse model gives NaN or infinity", cure=cure)
    return np.asarray(weights, np.float32)


def heaviest(weights: NDArray[np.float32], most: int) -> Sparse:
    """The ``most`` largest weights above 0.

    >>> heaviest(np.array([0.0, 2.0, 0.5, 1.0], np.float32), 2).terms.tolist()
    [1, 3]
    """
    terms = np.flatnonzero(weights > 0)
    if len(terms) > most:
        terms = np.sort(terms[np.argsort(-weights[terms], kind="stable")[:most]])
    return Sparse(terms.astype(np.int32), weights[terms])


@lru_cache(maxsize=2)
def load_sparse(folder: str) -> SparseEncoder | None:
    """The sparse encoder of a folder, opened once; None where none is named."""
    return SparseEncoder(Path(folder)) if folder else None
