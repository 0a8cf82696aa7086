"""A late-interaction model of the user's: text → a vector for each word piece, made to be compared by MaxSim.

    query    [CLS] [Q] how often do keys rotate [SEP] [MASK] … [MASK]   filled up to the model's query length
    passage  [CLS] [D] keys rotate every 90 days . [SEP]                vectors of its skip list left out

A ColBERT checkpoint in a folder, as PyLate, sentence-transformers or its authors save one, or exported to
ONNX. A passage that is longer than the model reads is read in parts, so that no word of it is lost; a query
longer than the length to which queries are filled is read as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.models import latenet
from fingerpost.models.build import SAMPLES, digest
from fingerpost.models.multivector import Parts, open_folder
from fingerpost.models.sources import MAX_VOCABULARY
from fingerpost.models.tokenizer import WordPieces

NO_WORD = -1
"""In the place of a piece's id: it stands for the whole query, such as [CLS], [Q] and [MASK]."""
POSITIONS = 512
"""Word pieces that a network reads where its config does not say."""
LEAST_ROOM = 8


@dataclass(frozen=True, slots=True)
class Tokens:
    """``vectors`` float32 [t, dim] of length one, and their word pieces' ``ids`` int32 [t]."""

    vectors: NDArray[np.float32]
    ids: NDArray[np.int32]


class Asked(NamedTuple):
    """``pieces`` int32 [t] of which all see the first ``seen``; a query's own ``words`` among them."""

    pieces: NDArray[np.int32]
    seen: int
    words: slice


class LateEncoder:
    """Made by ``load_late``. Thread-safe; one text a pass, so that its vectors are always the same bytes.

    ``dim`` is the length of a vector, ``fingerprint`` names all that the vectors depend on: weights,
    projection, tokenizer, framing, precision.
    """

    def __init__(self, parts: Parts, *, precision: str = "int8") -> None:
        self._framing = framing = parts.framing
        positions = _whole(parts.config, "max_position_embeddings", POSITIONS)
        vocabulary = _whole(parts.config, "vocab_size", MAX_VOCABULARY)
        self._pieces = pieces = WordPieces(parts.tokenizer, vocabulary=vocabulary, max_length=positions)
        self._before = [pieces.before + _marker(pieces, text) for text in framing.prefixes]
        self._skip = [found for word in framing.skip if (found := pieces.piece(word)) is not None]
        self._mask = pieces.piece(framing.mask)
        self._most = positions
        self._room = min(framing.document_length, positions) - len(self._before[1]) - len(pieces.after)
        self._check()
        samples = [self._asked(text) for text in SAMPLES]
        network = latenet.network(parts, [(one.pieces, one.seen) for one in samples], precision=precision)
        self._runner, self.dim = network.runner, network.dim
        self.fingerprint = digest([network.digest, pieces.sha256, positions, asdict(framing)])

    def passage(self, text: str) -> Tokens:
        """The vectors of a passage, special pieces included."""
        ids, found = self._pieces.ids(text), []
        for at in range(0, max(len(ids), 1), self._room):
            framed = self._before[1] + ids[at : at + self._room] + self._pieces.after
            pieces = np.array(framed, np.int32)
            kept = ~np.isin(pieces, self._skip)
            found.append((self._runner.run(pieces[None], attended=len(pieces))[kept], pieces[kept]))
        vectors, ids_read = zip(*found, strict=True)
        return Tokens(np.concatenate(vectors), np.concatenate(ids_read))

    def query(self, text: str) -> Tokens:
        """The vectors of a query; pieces that are no words of it bear the id NO_WORD."""
        filled, seen, words = self._asked(text)
        pieces = np.full(len(filled), NO_WORD, np.int32)
        pieces[words] = filled[words]
        return Tokens(self._runner.run(filled[None], attended=seen), pieces)

    def _asked(self, text: str) -> Asked:
        """A query as the network reads it."""
        before, after, framing = self._before[0], self._pieces.after, self._framing
        words = self._pieces.ids(text)[: self._most - len(before) - len(after)]
        framed = before + words + after
        filled = framed + [self._mask or 0] * (framing.expand - len(framed))
        seen = len(filled) if framing.attend else len(framed)
        return Asked(np.array(filled, np.int32), seen, slice(len(before), len(before) + len(words)))

    def _check(self) -> None:
        framing = self._framing
        if self._room < LEAST_ROOM or framing.expand > self._most:
            raise ModelError(
                "E_MODEL",
                f"a network of {self._most} positions cannot read passages of {framing.document_length} word"
                f" pieces and queries of {framing.expand}",
                cure="mend document_length and query_length, or fetch the model again",
            )
        if framing.expand and self._mask is None:
            raise ModelError(
                "E_MODEL",
                f"queries are filled up with {framing.mask}, which the tokenizer does not know",
                cure="put the model's own tokenizer.json beside its weights",
            )


def load_late(folder: Path, *, precision: str = "int8") -> LateEncoder:
    """The late-interaction model in a folder. The first load builds its network and keeps it, as
    ``load_encoder`` does. Raises ModelError where the folder holds none, or its parts do not fit together.
    """
    return LateEncoder(open_folder(folder), precision=precision)


def _marker(pieces: WordPieces, text: str) -> list[int]:
    """What stands before a text: one piece where the tokenizer has one for it, as ``[Q] `` or ``[unused0]``,
    and its words otherwise.
    """
    word = text.split(maxsplit=1)[:1]
    for head in (text, *(f"{first} " for first in word), *word):
        own = pieces.piece(head) if head else None
        if own is not None and text.startswith(head):
            return [own, *pieces.ids(text[len(head) :])]
    return pieces.ids(text)


def _whole(config: Mapping[str, Any], key: str, default: int) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError("E_MODEL", f"config.json: {key} = {value!r}", cure="fetch the model again")
    return value
