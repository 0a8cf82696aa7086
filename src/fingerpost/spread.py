"""Work side by side on threads that Ctrl-C cannot lock up.

An executor's ``submit`` takes locks that its workers need too. A KeyboardInterrupt that arrives between
taking and letting go leaves one taken for ever, and the program waits for workers that wait for it. Here the
thread that is interrupted shares no lock written in Python with the others: each takes the next item from one
iterator or queue, and stops when told. It waits for them all the same: Python ends a thread that it finds in
foreign code by force, and where that code is C++, the whole program with it ("terminate called without an
active exception").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

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


class Later(Generic[R]):
    """What a ``Team`` was given to do."""

    def __init__(self) -> None:
        self._told: SimpleQueue[tuple[R, None] | tuple[None, BaseException]] = SimpleQueue()

    def settle(self, work: Callable[[], R]) -> None:
        """Do it, and tell what came of it."""
        try:
            self._told.put((work(), None))
        except BaseException as error:
            self._told.put((None, error))

    def result(self) -> R:
        """What came of it, once it is done; asked for once. Raises what it raised."""
        found = self._told.get()
        if found[1] is not None:
            raise found[1]
        return found[0]


class Team:
    """At most so many threads that do what they are given, in that order, until the team is closed.

    >>> team = Team(2)
    >>> both = [team.do(partial(len, each)) for each in ("a", "bcd")]
    >>> [each.result() for each in both]
    [1, 3]
    >>> team.close()
    """

    def __init__(self, threads: int) -> None:
        self._given: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed, self._most = False, threads
        self._all: list[_Other] = []

    def do(self, work: Callable[[], R]) -> Later[R]:
        """Have it done by whoever is free next."""
        later = Later[R]()
        self._given.put(partial(later.settle, work))
        if len(self._all) < self._most:
            self._all.append(_Other(self._run, daemon=True))  # an idle one keeps no program from ending
            self._all[-1].start()
        return later

    def close(self) -> None:
        """Wait until all have ended; what nobody has begun is dropped."""
        try:
            self._stop()
        except BaseException:  # once more, all of it
            self._stop()
            raise

    def _stop(self) -> None:
        self._closed = True
        for _ in self._all:
            self._given.put(None)
        _ended(self._all)

    def _run(self) -> None:
        while (work := self._given.get()) is not None and not self._closed:
            work()


class _Other(Thread):
    """A thread that says itself when it has ended: a ``join`` that Ctrl-C ends takes it for ended too."""

    def __init__(self, work: Callable[[], None], *, daemon: bool = False) -> None:
        super().__init__(daemon=daemon)
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
