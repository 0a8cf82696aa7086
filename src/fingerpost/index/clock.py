"""What time it is, for all that an index keeps a time of or waits for.

No decision about documents asks it: writes are ordered by their seq, content is compared by digest, views by
generation. A clock that is wrong, stands still or is set back changes what is told of times, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """``wall``: seconds since 1970, for times that are kept and shown; somebody may set it. ``steady``:
    seconds that never go back, for how long something took and until when something rests; they mean nothing
    to another process. A test gives its own to ``Rooms``.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic

    def stamp(self) -> int:
        """The time of day in nanoseconds since 1970."""
        return int(self.wall() * 1e9)


REAL = Clock()
