"""Seeds of the long forms: those a test names, or ``FINGERPOST_SEEDS=12-40`` (also ``7`` and ``3,8-9``)."""

from __future__ import annotations

import os


def seeds(first: int, past: int) -> list[int]:
    """``first`` to ``past`` - 1, unless others are asked for."""
    asked = os.environ.get("FINGERPOST_SEEDS", "")
    return parsed(asked) if asked else list(range(first, past))


def parsed(asked: str) -> list[int]:
    """The numbers that a list of numbers and ranges names, ends included.

    >>> parsed("3,8-10")
    [3, 8, 9, 10]
    """
    found = []
    for part in asked.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found
