"""A rest for a model that failed: searches go on without it instead of waiting for it one after the other.

    rest = Rest()
    reply = rest.call(lambda: server.ask("…"))     # whatever it raises begins a rest
    reply = rest.call(lambda: server.ask("…"))     # E_RESTS at once, until the rest is over

Each failure in a row doubles the rest, up to a longest one. When it is over, one caller tries; the others go
on resting until that one has come back. A success ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from fingerpost.errors import FingerpostError, ModelError

T = TypeVar("T")

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0
ITS_OWN = "E_TOO_BIG"
"""A request that the model cannot hold says nothing about the next one."""


class Rest:
    """Of one model. It may be used from several threads at once."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        """``steady`` gives seconds that never go back."""
        self._steady, self._lock = steady, Lock()
        self._row, self._last, self._until = 0, "", float("-inf")

    def call(self, ask: Callable[[], T]) -> T:
        """What ``ask`` gives. Raises ModelError E_RESTS, while it rests, else what ``ask`` raises."""
        row = self._begin()
        try:
            found = ask()
        except Exception as error:
            code = error.code if isinstance(error, FingerpostError) else type(error).__name__
            if code != ITS_OWN:
                self._failed(row, code)
            raise
        self._worked()
        return found

    def _begin(self) -> int:
        """How many calls in a row had failed when this one began."""
        with self._lock:
            left = self._until - self._steady()
            if left > 0:
                raise self._resting(left)
            if self._row:
                self._until = self._steady() + seconds(self._row)
            return self._row

    def _failed(self, row: int, code: str) -> None:
        with self._lock:
            if row == self._row:  # else another call that was on its way at the same time failed first
                self._row, self._last = row + 1, code
                self._until = self._steady() + seconds(self._row)

    def _worked(self) -> None:
        with self._lock:
            self._row, self._last, self._until = 0, "", float("-inf")

    def _resting(self, left: float) -> ModelError:
        calls = "call" if self._row == 1 else f"{self._row:,} calls"
        said = f"{self._last} at the last {calls}, asked again in {max(left, 1):.0f} s"
        return ModelError("E_RESTS", said, cure="mend the model or raise its time limit; it is asked again")


def unasked(error: Exception) -> str:
    """Why a model was not asked; empty where the error is another one."""
    if isinstance(error, FingerpostError) and error.code == "E_RESTS":
        return f"not asked ({error.message})"
    return ""


def seconds(row: int) -> float:
    """How long a model rests after so many failures in a row.

    >>> [seconds(row) for row in (1, 2, 3, 6, 7, 5_000)]
    [5.0, 10.0, 20.0, 160.0, 300.0, 300.0]
    """
    return float(min(FIRST_SECONDS * 2 ** min(row - 1, 20), LONGEST_SECONDS))
