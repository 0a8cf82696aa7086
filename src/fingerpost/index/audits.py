"""Audits of all processes that search an index, added up in its folder: ten short ones find a router out as
one long one does.

`audits.json` holds a number of audits and the sum of their recalls for each router that was audited lately –
no queries, no documents, nobody's name. It is written after an audit (one routed search in a hundred, as
delivered), never flushed and never waited for: where another process writes at that moment, the sum goes
along with the next one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import sleep

from fingerpost.index import kept
from fingerpost.route.drift import Audit

NAME = "audits.json"
MOST = 4
"""Routers whose audits are kept, the last audited ones: indexes are opened with other settings by turns."""
MOST_WAITING = 256

_log = logging.getLogger(__name__)


class Audits:
    """The audits of one open index and of all processes before and beside it; safe from several threads."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / NAME, Lock()
        self._known: dict[str, Audit] = {}
        self._waiting: list[tuple[str, float]] = []
        self.made = 0
        """Audits since it was opened here."""
        self.unkept = ""
        """Why they are not kept; empty where they are."""

    def of(self, whose: str, *, anew: bool = False) -> Audit:
        """All audits of a router, as far as they are known here; ``anew`` looks for those of others since."""
        with self._lock:
            if anew or whose not in self._known:
                self._take(self._read())
            return self._known.setdefault(whose, Audit())

    def add(self, whose: str, recall: float) -> None:
        """One more audit."""
        with self._lock:
            self.made += 1
            self._known[whose] = self._known.get(whose, Audit()).added(recall)
            self._waiting = [*self._waiting, (whose, recall)][-MOST_WAITING:]
            self._keep()

    def close(self) -> None:
        """Keep what had to wait; nobody searches any more, so half a second may pass."""
        for _ in range(50):
            with self._lock:
                if self._waiting and not self.unkept:
                    self._keep()
                if not self._waiting or self.unkept:
                    return
            sleep(0.01)

    def _keep(self) -> None:
        try:
            with self._alone() as free:
                if not free:
                    return
                found = self._read()
                for whose, recall in self._waiting:
                    found[whose] = found.pop(whose, Audit()).added(recall)
                newest = dict(list(found.items())[-MOST:])
                rows = {whose: [audit.queries, audit.recall_sum] for whose, audit in newest.items()}
                kept.write(self._path, json.dumps(rows))
        except OSError as error:
            if not self.unkept:
                _log.warning("audits are not kept: %s cannot be written (%s)", self._path, error)
            self.unkept = error.strerror or str(error)
            return
        self._waiting, self.unkept = [], ""
        self._known.update(newest)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else writes meanwhile. Raises OSError where the file cannot be written."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        try:
            yield free
        finally:
            os.close(handle)

    def _take(self, found: dict[str, Audit]) -> None:
        """What the file says, and what still waits here."""
        for whose, recall in self._waiting:
            found[whose] = found.get(whose, Audit()).added(recall)
        self._known.update(found)

    def _read(self) -> dict[str, Audit]:
        """What the file holds; nothing where it is missing or damaged."""
        try:
            body = kept.read(self._path, patience=(0.0,))
            return {whose: Audit.checked(*row) for whose, row in json.loads(body).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            if not self._empty():
                _log.warning("%s cannot be read (%s): audits are counted anew", self._path, error)
            return {}

    def _empty(self) -> bool:
        """Whether it was only just made."""
        try:
            return not self._path.stat().st_size
        except OSError:
            return True
