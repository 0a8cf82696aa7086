"""How work that takes long tells how far it has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """How far a stage has come; ``total`` is None where nobody knows."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None: ...


def silent(stage: str, done: int, total: int | None, /) -> None:
    """The progress callback of those who do not look."""
