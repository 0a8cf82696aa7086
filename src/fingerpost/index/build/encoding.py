"""Encoding beside reading and writing: a few passages are a task. Where there are more cores than encoder's
threads, a further thread codes the token vectors, so that the encoder's never wait for it; otherwise the
thread that made them does, while they are near.

A passage's vector and code do not depend on the task it is in, nor on which thread ran it. What is taken back
comes in the order in which it was added.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Semaphore
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fingerpost.index.turns import QUICK, Turns
from fingerpost.models.encoder import Encoded, Encoder
from fingerpost.rerank.codec import Codec
from fingerpost.spread import Later, Team

TASK = 8
"""Passages of a task: more were not coded faster, and fewer share the last of them out better."""
MOST_WAITING = 4_096
"""Passages that are kept here. Who adds more finds them still missing in the store."""
MOST_UNCODED = 4
"""Tasks whose token vectors wait for the thread that codes: of a passage they take some 150 KB."""


class Coded(NamedTuple):
    """Encoded passages by key: vectors [n, dim], and token codes where there is a codec."""

    keys: list[int]
    vectors: NDArray[np.float32]
    codes: list[bytes] | None


class Encoding:
    """Passages that are being encoded on the encoder's threads, none of which runs before there is a task's
    worth of them; before each passage they give way to queries. Use as a context manager: what was not taken
    at its end is dropped.
    """

    def __init__(self, encoder: Encoder, codec: Codec | None, turns: Turns | None = None) -> None:
        self.codec = codec
        self.keys: set[int] = set()
        """What was added and not taken yet."""
        self._encoder, self._turns = encoder, turns or Turns()
        self._waiting: list[tuple[int, str]] = []
        self._running: deque[Later[Later[Coded] | Coded]] = deque()
        self._pool: Team | None = None
        self._coder: Team | None = None
        self._room = Semaphore(MOST_UNCODED)

    def add(self, passages: Iterable[tuple[int, str]]) -> None:
        """Encode these, given by key, as far as there is room."""
        fresh = list(passages)[: max(MOST_WAITING - len(self.keys), 0)]
        self.keys.update(key for key, _ in fresh)
        self._waiting += fresh
        while len(self._waiting) >= TASK * self._encoder.threads:
            self._start(TASK)

    def take(self, count: int) -> Coded:
        """The next ``count`` or somewhat more, as soon as they are encoded; fewer where fewer were added."""
        found: list[Coded] = []
        while sum(len(part.keys) for part in found) < count and self.keys:
            part = self._next()
            self.keys.difference_update(part.keys)
            found.append(part)
        codes = None if self.codec is None else [code for part in found for code in part.codes or ()]
        vectors = [np.zeros((0, self._encoder.dim), np.float32), *(part.vectors for part in found)]
        return Coded([key for part in found for key in part.keys], np.concatenate(vectors), codes)

    def _next(self) -> Coded:
        if not self._running:
            if len(self._waiting) == 1 or (self._encoder.threads == 1 and self._coder is None):
                few, self._waiting = self._waiting, []  # a thread would only be waited for
                return self._coded(*self._encoded(few))
            share = -(-len(self._waiting) // self._encoder.threads)
            while self._waiting:
                self._start(share)
        found = self._running.popleft().result()
        return found if isinstance(found, Coded) else found.result()

    def _start(self, count: int) -> None:
        if self._pool is None:
            self._pool = Team(self._encoder.threads)
            if self.codec is not None and (os.cpu_count() or 1) > self._encoder.threads:
                self._coder = Team(1)
        few, self._waiting = self._waiting[:count], self._waiting[count:]
        self._running.append(self._pool.do(partial(self._run, few)))

    def _run(self, passages: Sequence[tuple[int, str]]) -> Later[Coded] | Coded:
        """Encode a task, and hand it to the thread that codes unless that has enough to do."""
        keys, encoded = self._encoded(passages)
        if self._coder is None or not self._room.acquire(blocking=False):
            return self._coded(keys, encoded)
        return self._coder.do(partial(self._coded_there, keys, encoded))

    def _coded_there(self, keys: list[int], encoded: Encoded) -> Coded:
        try:
            return self._coded(keys, encoded)
        finally:
            self._room.release()

    def _encoded(self, passages: Sequence[tuple[int, str]]) -> tuple[list[int], Encoded]:
        found = [self._passage(text) for _, text in passages]
        vectors = np.concatenate([one.vectors for one in found])
        tokens = [part for one in found for part in one.tokens]
        ids = [part for one in found for part in one.token_ids]
        return [key for key, _ in passages], Encoded(vectors, tokens, ids)

    def _passage(self, text: str) -> Encoded:
        self._turns.give_way()
        return self._encoder.encode_passages([text], tokens=self.codec is not None, threads=1)

    def _coded(self, keys: list[int], encoded: Encoded) -> Coded:
        self._turns.give_way()
        codes = self.codec.encode(encoded.tokens, encoded.token_ids) if self.codec else None
        return Coded(keys, encoded.vectors, codes)

    def __enter__(self) -> Encoding:
        QUICK.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as left:
            left.push(QUICK)
            for pool in filter(None, (self._coder, self._pool)):
                left.callback(pool.close)
