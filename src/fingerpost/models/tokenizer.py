"""Word pieces: a tokenizer.json read from checked bytes, and what an encoder feeds its network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fingerpost.errors import ModelError
from fingerpost.models.files import Blob, parse_json

_KNOWN_PATTERNS = frozenset({" {2,}"})


class WordPieces:
    """Text → word pieces. ``room`` is how many pieces of a text the network reads besides its special ones,
    which stand ``before`` and ``after`` it.

    Raises ModelError where the file is no tokenizer, names pieces beyond ``vocabulary``, or brings its own
    regular expressions (they would run on every text, with the time they please).
    """

    def __init__(self, blob: Blob, *, vocabulary: int, max_length: int) -> None:
        _check_patterns(parse_json(blob))
        self.sha256 = blob.sha256
        self._tokenizer = _tokenizer(blob)
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= largest < vocabulary:
            raise ModelError(
                "E_MODEL",
                f"{blob.name} names word piece {largest:,}; the network knows {vocabulary:,}",
                cure="put the model's own tokenizer.json beside its weights",
            )
        self.before, self.after = self._frame()
        self.room = max_length - len(self.before) - len(self.after)

    def ids(self, text: str) -> list[int]:
        """Every word piece of ``text``, without special ones, not truncated."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def framed(self, ids: list[int]) -> NDArray[np.int32]:
        """What the network reads, [1, t]: the first ``room`` pieces between the special ones."""
        return np.array([self.before + ids[: self.room] + self.after], np.int32)

    def piece(self, text: str) -> int | None:
        """The one word piece that is written so, None where there is none."""
        found = self._tokenizer.token_to_id(text)
        return None if found is None else int(found)

    def content(self, count: int) -> slice:
        """Where the text's own pieces stand among the ``count`` that the network read."""
        return slice(len(self.before), count - len(self.after))

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Character offsets [t, 2] of every word piece, not truncated."""
        pairs = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return np.array(pairs, np.int32).reshape(-1, 2)

    def _frame(self) -> tuple[list[int], list[int]]:
        """The special pieces put before and after every text."""
        bare = self.ids("a")
        full = list(self._tokenizer.encode("a").ids)
        at = next((at for at in range(len(full)) if full[at : at + len(bare)] == bare), 0)
        return full[:at], full[at + len(bare) :]


def _tokenizer(blob: Blob) -> Any:
    try:
        tokenizer = Tokenizer.from_buffer(blob.data)
    except Exception as error:  # the library raises bare Exception
        raise ModelError(
            "E_MODEL",
            f"{blob.name} is not a tokenizer: {error}",
            cure="fetch the model again",
            detail=blob.name,
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _check_patterns(tokenizer: dict[str, Any]) -> None:
    for pattern in _patterns([tokenizer.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]):
        if pattern not in _KNOWN_PATTERNS:
            raise ModelError(
                "E_MODEL",
                f"the tokenizer brings its own regular expression {pattern[:60]!r}",
                cure="use a model whose tokenizer needs none (WordPiece, SentencePiece)",
            )


def _patterns(node: object) -> Iterator[str]:
    """Regular expressions anywhere in the pipeline; JSON nesting is bounded by the JSON reader."""
    if isinstance(node, dict):
        if isinstance(node.get("Regex"), str):
            yield node["Regex"]
        for part in node.values():
            yield from _patterns(part)
    elif isinstance(node, list):
        for part in node:
            yield from _patterns(part)
