"""How far a deep training is. No torch is needed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """How far training is, over all folds. ``held_out`` is the mean reciprocal rank of the queries held
    out, once there is one; ``minutes_left`` are minutes of one core. The first step, ``done`` 0, comes
    before anything is trained and says what all of it will take.
    """

    done: int
    total: int
    minutes_left: float
    loss: float | None = None
    held_out: float | None = None


Watch = Callable[[Step], None]


def nobody(step: Step) -> None:
    """Nobody watches."""
