"""Queries go first: whoever writes in the same process waits before each step while one is being answered.

Two threads of a process take turns with Python's lock, and one that lets go of it often, but only for an
instant each time, as cutting and writing do, keeps the other from it for as long as it likes. So a step that
has not begun waits, for a moment: a stream of queries without a gap slows updates, but never stops them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

MOST_SECONDS = 0.005
"""What one step waits at most."""


class Turns:
    """The queries in flight of an open index. Thread-safe.

    >>> turns = Turns()
    >>> with turns.query():
    ...     turns.give_way(), turns.asked
    (False, 1)
    >>> turns.give_way()
    True
    """

    def __init__(self) -> None:
        self.asked = 0
        """How many queries are in flight."""
        self._lock, self._quiet = Lock(), Event()
        self._quiet.set()

    @contextmanager
    def query(self) -> Iterator[None]:
        """What is done here goes first."""
        with self._lock:
            self.asked += 1
            self._quiet.clear()
        try:
            yield
        finally:
            with self._lock:
                self.asked -= 1
                if not self.asked:
                    self._quiet.set()

    def give_way(self) -> bool:
        """Wait until no query is in flight, ``MOST_SECONDS`` at most; whether none is."""
        return self._quiet.is_set() or self._quiet.wait(MOST_SECONDS)
