"""Observing: every search and answer is told to the metrics, the spans and the query log that are on.

With all of them off there is no observer and nothing is done. An observer that fails loses what it was told,
never the search: it says so in the log once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NoReturn

from fingerpost.compiler import prepare
from fingerpost.errors import FingerpostError, UsageError
from fingerpost.index.rooms import Rooms
from fingerpost.observe.metrics import Metrics, State
from fingerpost.observe.otel import Spans
from fingerpost.observe.querylog import QueryLog
from fingerpost.observe.seen import Observer, Operation, Seen
from fingerpost.records import Answer, Document, Span, Trace

_log = logging.getLogger(__name__)


class Observing:
    """The observers of one open index. Raises MissingExtraError where one of them is not installed."""

    def __init__(self, rooms: Rooms) -> None:
        wanted = rooms.settings.observe
        clean = masking(rooms)
        self._rooms = rooms
        self.metrics = Metrics(lambda: _state(rooms)) if wanted.metrics else None
        self.log = query_log(rooms) if wanted.log_queries else None
        spans = (
            Spans(rooms.path.resolve().name, clean=clean if wanted.content else None)
            if wanted.spans
            else None
        )
        told: tuple[Observer | None, ...] = (self.metrics, spans, self.log)
        self._observers = [each for each in told if each is not None]

    def search(
        self, query: str, k: int, run: Callable[[], tuple[list[Span], Trace]]
    ) -> tuple[list[Span], Trace]:
        """Run a search and tell of it."""
        began = perf_counter()
        try:
            spans, trace = run()
        except Exception as error:
            self._failed("search", query, k, began, error)
        seconds = perf_counter() - began
        self._tell(Seen("search", query, k, self._rooms.clock.stamp(), seconds, trace, _results(spans)))
        return spans, trace

    def ask(self, query: str, run: Callable[[], Answer]) -> Answer:
        """Answer a question and tell of it."""
        k = self._rooms.settings.ground.spans
        began = perf_counter()
        try:
            answer = run()
        except Exception as error:
            self._failed("ask", query, k, began, error)
        seconds, cited = perf_counter() - began, _results(answer.citations)
        fell_back = bool(self._rooms.settings.llm.url) and "extractive answer" in answer.reason
        now = self._rooms.clock.stamp()
        self._tell(Seen("ask", query, k, now, seconds, answer.trace, cited, answer.refused, fell_back))
        return answer

    def _failed(self, operation: Operation, query: str, k: int, began: float, error: Exception) -> NoReturn:
        code = error.code if isinstance(error, FingerpostError) else "bug"
        self._tell(Seen(operation, query, k, self._rooms.clock.stamp(), perf_counter() - began, error=code))
        raise error

    def _tell(self, seen: Seen) -> None:
        for observer in list(self._observers):
            try:
                observer.take(seen)
            except (OSError, ValueError) as error:
                self._observers.remove(observer)
                _log.warning("%s is switched off: %s", type(observer).__name__, error)


def of(rooms: Rooms) -> Observing | None:
    """The observers that the settings ask for; None when they ask for none."""
    wanted = rooms.settings.observe
    return Observing(rooms) if wanted.metrics or wanted.spans or wanted.log_queries else None


def text(observing: Observing | None) -> str:
    """The metrics in Prometheus' format. Raises UsageError where they are off."""
    if observing is None or observing.metrics is None:
        cure = "set metrics = true under [observe] in the settings the index is opened with"
        raise UsageError("E_USAGE", "metrics are off", cure=cure)
    return observing.metrics.text()


def masking(rooms: Rooms) -> Callable[[str], str]:
    """What masks a query as the documents of the index are masked."""

    def clean(text: str) -> str:
        return " ".join(prepare(Document("query", text), rooms.settings).text.split())

    return clean


def query_log(rooms: Rooms) -> QueryLog:
    """The query log in the index's folder."""
    wanted = rooms.settings.observe
    return QueryLog(rooms.path, clean=masking(rooms), share=wanted.log_share, most_mb=wanted.log_mb)


def _results(spans: Sequence[Span]) -> list[tuple[str, float]]:
    """Documents by their best span."""
    best: dict[str, float] = {}
    for span in spans:
        best.setdefault(span.doc_id, span.score)
    return list(best.items())


def _state(rooms: Rooms) -> State:
    snapshot = rooms.store.snapshot()
    audit = rooms.audit(rooms.epoch(snapshot), anew=True)
    fresh = rooms.lagging.read().counted()
    return State(
        rooms.audits.made, audit.recall, snapshot.n_fresh, snapshot.n_chunks, snapshot.generation, fresh
    )
