"""OpenTelemetry spans of every search and answer, and of their stages. Needs the extra ``observe``.

Only the API is used: where the spans go, and how many of them, the application's SDK says; without one they
go nowhere. A search made inside a span of the application becomes its child. Names are in ``names``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from fingerpost.errors import missing_extra
from fingerpost.observe import names
from fingerpost.observe.seen import Seen
from fingerpost.records import Stage

Value = str | int | float | bool
DOCUMENTS = 20
"""Results whose ids and scores go on a span, where content may."""


class Spans:
    """Makes spans of what it is told, after it has happened. ``source`` names the index.

    ``clean`` masks a query; without it neither the query nor the ids of the results are on the span, as the
    conventions ask of what may be sensitive. Raises MissingExtraError E_EXTRA without opentelemetry-api.
    """

    def __init__(self, source: str, *, clean: Callable[[str], str] | None = None) -> None:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise missing_extra("observe", "tracing with OpenTelemetry") from error
        self._api = trace
        self._source = source
        self._clean = clean

    def take(self, seen: Seen) -> None:
        """One span for the whole, a child for each stage, with the times that were measured."""
        tracer = self._api.get_tracer("fingerpost")
        began = seen.ended - int(seen.seconds * 1e9)
        operation = names.OPERATIONS[seen.operation]
        root = tracer.start_span(f"{operation} {self._source}", start_time=began)
        if root.is_recording():
            root.set_attributes(self._attributes(seen, operation))
            if seen.error:
                root.set_status(self._api.Status(self._api.StatusCode.ERROR, seen.error))
            inside = self._api.set_span_in_context(root)
            for stage in seen.trace.stages if seen.trace is not None else ():
                until = began + int(stage.ms * 1e6)
                attributes = stage_attributes(stage)
                tracer.start_span(stage.name, inside, attributes=attributes, start_time=began).end(until)
                began = until
        root.end(seen.ended)

    def _attributes(self, seen: Seen, operation: str) -> Mapping[str, Value]:
        found: dict[str, Value] = {
            names.OPERATION_NAME: operation,
            names.PROVIDER_NAME: names.PROVIDER,
            names.DATA_SOURCE: self._source,
            names.TOP_K: seen.k,
        }
        if self._clean is not None:
            found[names.QUERY_TEXT] = self._clean(seen.query)
            best = [{"id": doc_id, "score": score} for doc_id, score in seen.results[:DOCUMENTS]]
            found[names.DOCUMENTS] = json.dumps(best)
        if seen.trace is None:
            return {**found, names.ERROR_TYPE: seen.error}
        plan = seen.trace.plan
        return {
            **found,
            names.GENERATION: seen.trace.generation,
            names.RESULTS: len(seen.results),
            names.PLAN: plan.reason if plan is not None else "",
            **({names.REFUSED: seen.refused} if seen.operation == "ask" else {}),
        }


def stage_attributes(stage: Stage) -> dict[str, Value]:
    """A stage's counts and its note.

    >>> stage_attributes(Stage("route", 1.0, {"leaves": 3.0}, "optimist"))
    {'fingerpost.route.leaves': 3.0, 'fingerpost.note': 'optimist'}
    """
    counts: dict[str, Value] = {f"{names.OWN}{stage.name}.{name}": n for name, n in stage.counts.items()}
    return {**counts, names.NOTE: stage.note} if stage.note else counts
