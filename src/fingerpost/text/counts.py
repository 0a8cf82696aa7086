"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """How many there are; the noun is given in the singular.

    >>> counted(1, "chunk"), counted(1200, "chunk"), counted(2, "query")
    ('1 chunk', '1,200 chunks', '2 queries')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"
