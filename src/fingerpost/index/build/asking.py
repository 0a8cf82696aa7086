"""Asking a language model many times over: several requests at once, and no more after failures in a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from threading import Lock
from typing import TypeVar

from fingerpost.config import LlmSettings
from fingerpost.errors import FingerpostError
from fingerpost.models.llm import Llm
from fingerpost.spread import Team

log = logging.getLogger(__name__)

FAILURES = 3
"""Failures in a row after which the model is left alone for the rest of the run."""
ITS_OWN = "E_TOO_BIG"
"""A prompt that the model cannot hold says nothing about the next one."""

Messages = Sequence[Mapping[str, str]]
T = TypeVar("T")
R = TypeVar("R")


class Asking:
    """One run. ``asked`` and ``failed`` count, ``last`` is the code of the last failure."""

    def __init__(self, llm: Llm, settings: LlmSettings) -> None:
        self._llm, self._settings, self._lock = llm, settings, Lock()
        self.asked = self.failed = self._row = 0
        self.last = ""

    def reply(self, messages: Messages, *, max_tokens: int, about: str) -> str | None:
        """The model's reply; None where it fails or has failed too often. ``about`` is for the log."""
        if self._row >= FAILURES:
            self._count(self.last)
            return None
        try:
            found = self._llm.complete(
                messages, max_tokens=max_tokens, timeout=self._settings.timeout_seconds
            )
        except FingerpostError as error:
            log.warning("%s: %s", about, error)
            self._count(error.code)
            return None
        self._count("")
        return found

    def side_by_side(self, ask: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """What ``ask`` makes of each item, in their order, as many at once as the settings allow."""
        with closing(Team(self._settings.at_once)) as team:
            for asked in [team.do(partial(ask, item)) for item in items]:
                yield asked.result()

    def _count(self, fault: str) -> None:
        with self._lock:
            if not fault:
                self.asked, self._row = self.asked + 1, 0
                return
            self.failed, self.last = self.failed + 1, fault
            self._row += fault != ITS_OWN
