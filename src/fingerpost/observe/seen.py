"""What the observers are told: one search or one answer, as it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fingerpost.records import Trace

Operation = Literal["search", "ask"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One operation: ``query`` as it was asked, ``results`` the documents and scores it gave, best first.

    ``trace`` is None and ``error`` a code of ``errors.CODES`` (or ``bug``) where it failed. ``ended`` is
    nanoseconds since the epoch, ``seconds`` how long it took.
    """

    operation: Operation
    query: str
    k: int
    ended: int
    seconds: float
    trace: Trace | None = None
    results: Sequence[tuple[str, float]] = ()
    refused: bool = False
    extractive: bool = False
    error: str = ""


class Observer(Protocol):
    """Whoever wants to know of every search and answer. It must be quick, and must not change anything."""

    def take(self, seen: Seen) -> None:
        """Note one operation."""
        ...
