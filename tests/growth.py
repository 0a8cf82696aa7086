"""How work grows with its input, told apart from how busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PARTS = 16
"""A part is a sixteenth of the input: what grows as its square takes 256 times as much for all of it."""
MOST = 4 * PARTS
ROUNDS = 5


def growth(work: Callable[[int], object], size: int) -> float:
    """How often the processor time of ``work(size // 16)`` goes into that of ``work(size)``: about 16 for
    linear work, 256 for square. The smallest of up to five rounds, since a busy machine only adds; no more
    rounds than it takes to see that it is linear."""
    part = max(1, size // PARTS)
    work(part)  # what is done once, as a table's filling, is not growth
    least = float("inf")
    for _ in range(ROUNDS):
        times = [_seconds(work, many) for many in (part, size)]
        least = min(least, times[1] / times[0])
        if least <= MOST:
            break
    return least


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Fail where ``work(n)`` grows much faster than ``n`` up to ``size``."""
    found = growth(work, size)
    assert found <= MOST, f"{PARTS} times the input took {found:.0f} times the processor's time"


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.thread_time()
    work(size)
    return time.thread_time() - began
