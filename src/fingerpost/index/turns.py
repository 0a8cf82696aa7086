"""Queries go first: whoever writes in the same process waits before each step while one is being answered.

Two threads of a process take turns with Python's lock, and one that lets go of it often, but only for an
instant each time, as cutting and writing do, keeps the other from it for as long as it likes. So a step that
has not begun waits, for a moment: a stream of queries without a gap slows updates, but never stops them.

Where work in Python runs beside the encoder, the lock has to change hands sooner than Python does by itself:
the encoder needs it some five times a passage, for an instant, and would wait 5 ms each time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

MOST_SECONDS = 0.005
"""What one step waits at most."""
QUICK_SECONDS = 0.0001
"""After how long a thread that computes in Python lets one that waits for the lock have it, where the encoder
may be the one that waits: it then keeps its rate, and has a third of it at Python's own 5 ms (bench/LOG.md).
"""


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


class Quick:
    """The lock changes hands quickly while this is entered anywhere in the process, whose setting it is:
    whoever leaves last puts back what was there, unless somebody else has changed it since.

    >>> with QUICK:
    ...     sys.getswitchinterval() <= QUICK_SECONDS
    True
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._before = self._set = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, QUICK_SECONDS))
                self._set = sys.getswitchinterval()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and sys.getswitchinterval() == self._set:
                sys.setswitchinterval(self._before + 5e-7)  # it cuts off what is less than a millionth


QUICK = Quick()
