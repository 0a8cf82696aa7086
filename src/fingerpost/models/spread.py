"""Work side by side on threads that Ctrl-C cannot lock up.

An executor's ``submit`` takes locks that its workers need too. A KeyboardInterrupt that arrives between
taking and letting go leaves one taken for ever, and the program waits for workers that wait for it. Here the
thread that is interrupted shares no lock with the others: each takes the next item from one iterator, and
stops when told. It waits for them all the same: Python ends a thread that it finds in foreign code by force,
and where that code is C++, the whole program with it ("terminate called without an active exception").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """What ``work`` makes of each item, in their order; the caller's thread is one of the ``threads``. The
    first error of any of them, Ctrl-C too, is raised once all have stopped.

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

    others = [_Other(run) for _ in range(min(threads, len(items)) - 1)]
    try:
        for thread in others:
            thread.start()
        run()
    except BaseException as error:  # while one was started
        errors.append(error)
        raise
    finally:
        _wait(others, errors)
    if errors:
        raise errors[0]
    return [found[at] for at in range(len(items))]


class _Other(Thread):
    """A thread that says itself when it has ended: a ``join`` that Ctrl-C ends takes it for ended too."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work, self.ended = work, Event()

    def run(self) -> None:
        try:
            self._work()
        finally:
            self.ended.set()


def _wait(others: Sequence[_Other], errors: list[BaseException]) -> None:
    """Until all that were started have ended. One that starts later finds ``errors`` and does nothing."""
    try:
        _ended(others)
    except BaseException as error:
        errors.append(error)
        _ended(others)
        raise


def _ended(others: Sequence[_Other]) -> None:
    for thread in others:
        if thread.is_alive():
            thread.ended.wait()
