"""A cross-encoder, where one is given: query and passage read together, for the first few candidates.

A folder with an ONNX file, ``tokenizer.json`` and ``config.json``. One that sentence-transformers exported
decides alone; one that was trained here says in ``config.json`` how far its word goes beside the search's
(``fingerpost.weight``). It can only help: whatever it fails at leaves the order as it was, with a note for
the trace.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fingerpost.errors import FingerpostError, ModelError
from fingerpost.models import files, runners
from fingerpost.models.rest import Rest, unasked
from fingerpost.models.tokenizer import WordPieces
from fingerpost.scores import centre
from fingerpost.spread import side_by_side

log = logging.getLogger(__name__)

Scores = NDArray[np.float64]
MOST_PIECES = 512
READS = ("input_ids", "attention_mask", "token_type_ids")
FILES = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx")


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores by which to order; ``note`` says why they are the old ones, and is empty where they are not."""

    scores: Scores
    note: str = ""


class CrossEncoder:
    """A cross-encoder from a folder. It may be used from several threads at once.

    ``weight`` is what its standard scores count beside those of the search; None: it decides alone.
    """

    def __init__(self, folder: Path, *, threads: int = 0, rest: Rest | None = None) -> None:
        """``threads`` passages are read side by side, 0 means one a core; with a ``rest`` a model that failed
        is left alone for a while.

        Raises ModelError where the folder holds no such model.
        """
        files.check_folder(folder)
        graph = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if graph is None:
            raise ModelError(
                "E_MODEL",
                f"{folder} holds no ONNX file",
                cure=f"export the cross-encoder to ONNX, as one of {', '.join(FILES)}",
            )
        config = files.read_json(folder / "config.json")
        self.weight = _weight(config)
        self._rest = rest
        self._threads = threads or os.cpu_count() or 1
        self._session = runners.session(files.read(graph).data)
        self._inputs = {node.name: _whole(node.type) for node in self._session.get_inputs()}
        _check_pairs(graph, self._inputs, self._session.get_outputs()[0].shape)
        self._tokenizer = pair_tokenizer(folder)

    def score(self, query: str, passages: Sequence[str], *, seconds: float | None = None) -> Scores:
        """One number a passage, more is better; NaN where the network gave none.

        Raises ModelError: E_TIMEOUT after so many ``seconds``, E_MODEL where the network gives another count
        of numbers a pair than one or two, E_RESTS while it rests.
        """
        judge = partial(self._judged, query, passages, seconds)
        return judge() if self._rest is None else self._rest.call(judge)

    def _judged(self, query: str, passages: Sequence[str], seconds: float | None) -> Scores:
        with runners.in_time(seconds) as limits:
            one = partial(self._one, query, limits)
            return np.array(side_by_side(one, passages, self._threads), np.float64)

    def _one(self, query: str, limits: object, passage: str) -> float:
        pieces = self._tokenizer.encode(query, passage)
        values = dict(zip(READS, (pieces.ids, pieces.attention_mask, pieces.type_ids), strict=True))
        feed = {name: np.array([values[name]], kind) for name, kind in self._inputs.items()}
        logits = np.asarray(self._session.run(None, feed, limits)[0], np.float64).ravel()
        if len(logits) not in (1, 2):
            raise _no_judge(f"the cross-encoder gave {len(logits):,} numbers for a passage, not one or two")
        return float(logits[-1] - logits[0]) if len(logits) == 2 else float(logits[0])


def rerank(
    encoder: CrossEncoder,
    query: str,
    passages: Sequence[str],
    scores: NDArray[np.floating],
    *,
    seconds: float | None = None,
) -> Judged:
    """Scores that put the given passages in the cross-encoder's order, above all others.

    ``scores`` are all candidates' so far, best first; ``passages`` are the texts of the first of them. The
    scores of those are dealt out anew, so that the scale stays. Where the model fails, takes more than
    ``seconds`` or gives anything but finite numbers, the order stays and the note says so.
    """
    before = np.asarray(scores, np.float64)
    try:
        judged = encoder.score(query, passages, seconds=seconds)
    except Exception as error:  # a foreign model may fail in any way, and search must go on
        if why := unasked(error):
            return Judged(before, f"cross-encoder {why}: order kept")
        log.warning("cross-encoder failed: %s", error)
        return Judged(before, f"cross-encoder failed ({_reason(error)}): order kept")
    if not np.isfinite(judged).all():
        return Judged(before, "cross-encoder gave no number for a passage: order kept")
    if encoder.weight is not None:
        judged = together(before[: len(judged)], judged, encoder.weight)
    after = before.copy()
    order = np.argsort(-judged, kind="stable")
    after[: len(judged)][order] = before[: len(judged)]
    return Judged(after)


def _check_pairs(graph: Path, inputs: Mapping[str, object], shape: Sequence[object]) -> None:
    """Raise ModelError for a network that does not read a pair and give one or two numbers."""
    foreign = sorted(set(inputs) - set(READS))
    if foreign or "input_ids" not in inputs:
        what = f"reads {', '.join(foreign)}" if foreign else "does not read input_ids"
        raise _no_judge(f"{graph} {what}; a cross-encoder reads {', '.join(READS)}")
    wide = [size for size in shape[1:] if isinstance(size, int)]
    if len(shape) > 2 or any(size not in (1, 2) for size in wide):
        raise _no_judge(f"{graph} gives an output of shape {list(shape)}, not one or two numbers a pair")


def _no_judge(message: str) -> ModelError:
    return ModelError(
        "E_MODEL", message, cure="export a cross-encoder for ranking (sequence classification, one label)"
    )


def together(search: Scores, judged: Scores, weight: float) -> Scores:
    """Standard scores of the search, and ``weight`` times those of the cross-encoder.

    >>> together(np.array([2.0, 1.0]), np.array([0.0, 1.0]), 0.5).tolist()
    [0.5, -0.5]
    """
    return _standard(search) + weight * _standard(judged)


def _standard(scores: Scores) -> Scores:
    centred, spread = centre(scores)
    return centred / max(spread, 1e-9)


def _reason(error: Exception) -> str:
    return error.code if isinstance(error, FingerpostError) else type(error).__name__


def _whole(kind: str) -> type[np.integer[Any]]:
    return np.int32 if kind == "tensor(int32)" else np.int64


def _weight(config: Mapping[str, Any]) -> float | None:
    """How far the word of a model that was made here goes."""
    own = config.get("fingerpost")
    if own is None:
        return None
    weight = own.get("weight") if isinstance(own, dict) else None
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 100:
        raise ModelError(
            "E_MODEL",
            f"config.json: fingerpost.weight = {weight!r}; 0 to 100 is allowed",
            cure="train the reranker again",
        )
    return float(weight)


def pair_tokenizer(folder: Path) -> Any:
    """The tokenizer of a cross-encoder's folder, which cuts the longer text of a pair, after the checks that
    every model's tokenizer must pass.
    """
    config = files.read_json(folder / "config.json")
    blob = files.read(folder / "tokenizer.json")
    most = min(int(config.get("max_position_embeddings", MOST_PIECES)), MOST_PIECES)
    WordPieces(blob, vocabulary=int(config.get("vocab_size", 0)), max_length=most)
    tokenizer = Tokenizer.from_buffer(blob.data)
    tokenizer.enable_truncation(most, strategy="longest_first")
    tokenizer.no_padding()
    return tokenizer
