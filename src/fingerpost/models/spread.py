"""Work side by side on threads that Ctrl-C cannot lock up.

An executor's ``submit`` takes locks that its workers need too. A KeyboardInterrupt that arrives between
taking and letting go leaves one taken for ever, and the program waits for workers that wait for it. Here the
thread that is interrupted shares no lock with the others: each takes the next item from one iterator, and
stops when told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """What ``work`` makes of each item, in their order; the caller's thread is one of the ``threads``. The
    first error of any of them is raised once all have stopped.

    >>> side_by_side(len, ["a", "bcd"], threads=2)
    [1, 3]
    """
    found: dict[int, R] = {}
    errors: list[BaseException] = []
    left = iter(range(len(items)))

    def run() -> None:
        try:
            for at in left:  # taking the next is one step that no other thread can divide
                if errors:
                    return
                found[at] = work(items[at])
        except BaseException as error:
            errors.append(error)

    others = [Thread(target=run, daemon=True) for _ in range(min(threads, len(items)) - 1)]
    try:
        for thread in others:
            thread.start()
        run()
        for thread in others:
            thread.join()
    except BaseException as error:
        errors.append(error)
        raise
    if errors:
        raise errors[0]
    return [found[at] for at in range(len(items))]
