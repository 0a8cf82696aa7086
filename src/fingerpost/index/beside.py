"""Work that runs beside whoever caused it: one piece at a time, in a thread that is waited for.

The thread is no daemon: a process that ends without closing its index waits for it too. It stops between two
steps where it is asked to, and what goes wrong in it is kept until somebody can be told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from fingerpost.errors import FingerpostError
from fingerpost.index.clock import Clock
from fingerpost.index.progress import Progress, silent

RETRY_SECONDS = 30.0
"""How long nothing is begun after something failed: a full disk is not filled again at once."""

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Raised in the work when it shall end; what it has begun is nothing yet."""


class Beside:
    """What runs beside an open index. Thread-safe."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what, self._clock = what, clock
        self._lock, self._stop, self._ended = Lock(), Event(), Event()
        self._ended.set()
        self._thread: Thread | None = None
        self._untold: Exception | None = None
        self._failed, self._rests = "", float("-inf")
        self._heard: Progress = silent
        self._last: tuple[str, int, int | None] = ("", 0, None)

    @property
    def runs(self) -> bool:
        """Whether something runs now."""
        return not self._ended.is_set()

    @property
    def state(self) -> str:
        """For `status`: what runs, or what came of the last."""
        if self.runs:
            return " ".join(["runs:", *(str(each) for each in self._last if each not in ("", None))])
        return self._failed or "rests"

    def begin(self, work: Callable[[Progress], object]) -> bool:
        """Run ``work(progress)`` unless something runs or failed a moment ago; whether it was begun. The work
        calls ``progress`` often: that raises Stopped where it shall end.
        """
        with self._lock:
            if self.runs or self._stop.is_set() or self._clock.steady() < self._rests:
                return False
            self._thread = Thread(target=self._run, args=(work,), name=f"fingerpost {self._what}")
            self._ended.clear()
            try:
                self._thread.start()
            except BaseException:  # no thread can be had: then nothing runs
                self._ended.set()
                raise
            return True

    def wait(self, progress: Progress = silent) -> None:
        """Until nothing runs, ``progress`` told how far it is meanwhile (from its thread). May be
        interrupted: so it waits for an event first, since a ``join`` that Ctrl-C ends takes the thread for
        ended too.
        """
        self._heard = progress
        try:
            if self.runs and self._last[0]:
                progress(*self._last)
            self._ended.wait()
        finally:
            self._heard = silent
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Have it end at its next step, wait for that, and let nothing begin any more."""
        self._stop.set()
        self.wait()

    def tell(self) -> None:
        """Raise what went wrong since this was asked last, as the error that it was."""
        with self._lock:
            error, self._untold = self._untold, None
        if isinstance(error, FingerpostError):
            said = f"the {self._what} that ran beside failed: {error.message}"
            raise type(error)(error.code, said, cure=error.cure, detail=error.detail) from error
        if error is not None:
            raise error

    def mended(self) -> None:
        """The same was done by somebody else since."""
        with self._lock:
            self._untold, self._failed, self._rests = None, "", float("-inf")

    def _run(self, work: Callable[[Progress], object]) -> None:
        try:
            self._do(work)
        finally:
            self._ended.set()

    def _do(self, work: Callable[[Progress], object]) -> None:
        try:
            work(self._progress)
        except Stopped:
            _log.info("the %s was stopped; nothing of it is kept", self._what)
        except BaseException as error:  # tantivy's panics are no Exceptions; nobody interrupts a thread
            name = error.code if isinstance(error, FingerpostError) else type(error).__name__
            said = error.message if isinstance(error, FingerpostError) else str(error)
            bug = not isinstance(error, FingerpostError)
            _log.error("the %s that ran beside failed: %s: %s", self._what, name, said, exc_info=bug)
            with self._lock:
                told = error if isinstance(error, Exception) else RuntimeError(f"{name}: {said}")
                self._untold, self._failed = told, f"failed: {name}: {said}"
                self._rests = self._clock.steady() + RETRY_SECONDS

    def _progress(self, stage: str, done: int, total: int | None, /) -> None:
        if self._stop.is_set():
            raise Stopped
        if stage:
            self._last = (stage, done, total)
            self._heard(stage, done, total)
