"""What time a document bears, as a number."""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan

from fingerpost.records import Value

DAY = 86_400.0


def day(said: Value | None) -> float:
    """Days since 1970 of an ISO date or time (of UTC where it names no zone); NaN for anything else.

    >>> day("1970-01-02"), day("1970-01-02T12:00:00+12:00"), day("last week"), day(1970), day(None)
    (1.0, 1.0, nan, nan, nan)
    """
    try:
        found = datetime.fromisoformat(said.strip()) if isinstance(said, str) else None
    except ValueError:
        return nan
    if found is None:
        return nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() / DAY
