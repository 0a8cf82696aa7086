"""A cross-encoder, where one is given: query and passage read together, for the first few candidates.

A folder with an ONNX file, ``tokenizer.json`` and ``config.json``, as sentence-transformers exports one. It
can only help: whatever it fails at leaves the order as it was, with a note for the trace.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fingerpost.errors import FingerpostError, ModelError
from fingerpost.models import files, runners
from fingerpost.models.tokenizer import WordPieces

log = logging.getLogger(__name__)

Scores = NDArray[np.float64]
MOST_PIECES = 512
FILES = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx")


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores by which to order; ``note`` says why they are the old ones, and is empty where they are not."""

    scores: Scores
    note: str = ""


class CrossEncoder:
    """A cross-encoder from a folder. It may be used from several threads at once."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError where the folder holds no such model."""
        files.check_folder(folder)
        graph = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if graph is None:
            raise ModelError(
                "E_MODEL",
                f"{folder} holds no ONNX file",
                cure=f"export the cross-encoder to ONNX, as one of {', '.join(FILES)}",
            )
        config = files.read_json(folder / "config.json")
        self._session = runners.session(files.read(graph).data)
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._tokenizer = _tokenizer(folder, config)

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        """One number a passage, more is better; NaN where the network gave none."""
        return np.array([self._one(query, passage) for passage in passages], np.float64)

    def _one(self, query: str, passage: str) -> float:
        pieces = self._tokenizer.encode(query, passage)
        values = {
            "input_ids": pieces.ids,
            "attention_mask": pieces.attention_mask,
            "token_type_ids": pieces.type_ids,
        }
        feed = {name: np.array([values[name]], np.int64) for name in self._inputs}
        logits = np.asarray(self._session.run(None, feed)[0], np.float64).ravel()
        return float(logits[-1] - logits[0]) if len(logits) == 2 else float(logits[-1])


def rerank(
    encoder: CrossEncoder, query: str, passages: Sequence[str], scores: NDArray[np.floating]
) -> Judged:
    """Scores that put the given passages in the cross-encoder's order, above all others.

    ``scores`` are all candidates' so far, best first; ``passages`` are the texts of the first of them. The
    scores of those are dealt out anew, so that the scale stays. Where the model fails or gives anything but
    finite numbers, the order stays and the note says so.
    """
    before = np.asarray(scores, np.float64)
    try:
        judged = encoder.score(query, passages)
    except Exception as error:  # a foreign model may fail in any way, and search must go on
        log.warning("cross-encoder failed: %s", error)
        return Judged(before, f"cross-encoder failed ({_reason(error)}): order kept")
    if not np.isfinite(judged).all():
        return Judged(before, "cross-encoder gave no number for a passage: order kept")
    after = before.copy()
    order = np.argsort(-judged, kind="stable")
    after[: len(judged)][order] = before[: len(judged)]
    return Judged(after)


def _reason(error: Exception) -> str:
    return error.code if isinstance(error, FingerpostError) else type(error).__name__


def _tokenizer(folder: Path, config: Mapping[str, Any]) -> Any:
    """A tokenizer for pairs, after the checks that every model's tokenizer must pass."""
    blob = files.read(folder / "tokenizer.json")
    most = min(int(config.get("max_position_embeddings", MOST_PIECES)), MOST_PIECES)
    WordPieces(blob, vocabulary=int(config.get("vocab_size", 0)), max_length=most)
    tokenizer = Tokenizer.from_buffer(blob.data)
    tokenizer.enable_truncation(most, strategy="longest_first")
    tokenizer.no_padding()
    return tokenizer
