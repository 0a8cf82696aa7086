"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """How many there are: ``one`` is said of a single one, ``many`` of any other number, by default the
    plural of the noun that ``one`` ends with.

    >>> counted(1, "chunk"), counted(1200, "chunk"), counted(0, "query"), counted(2, "miss")
    ('1 chunk', '1,200 chunks', '0 queries', '2 misses')
    >>> counted(2, "key")
    '2 keys'
    >>> counted(1, "query is left out", "queries are left out")
    '1 query is left out'
    """
    return f"1 {one}" if number == 1 else f"{number:,} {many or _plural(one)}"


def noted(number: int, one: str, many: str = "") -> tuple[str, ...]:
    """The same as the only note of a report; none where there are none.

    >>> noted(2, "line"), noted(0, "line")
    (('2 lines',), ())
    """
    return (counted(number, one, many),) if number else ()


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
