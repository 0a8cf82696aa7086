"""Prometheus metrics of one open index: how many searches, how long each stage took, what went wrong.

Needs the extra ``observe`` (prometheus-client). Every index has a registry of its own, so that two in one
process do not mix; what is a state and not an event – audits, fresh chunks – is read when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fingerpost.errors import missing_extra
from fingerpost.observe.names import METRICS, fallback
from fingerpost.observe.seen import Seen

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds in seconds: a stage takes a fraction of a millisecond, an answer by a model seconds."""


@dataclass(frozen=True, slots=True)
class State:
    """What an index is like at this moment."""

    audits: int
    recall: float
    fresh: int
    chunks: int
    generation: int
    freshness: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Step → ``counts`` below each of ``below`` and above the last, their sum ``total`` in seconds, and how
    many are ``waiting``.
    """


class Metrics:
    """Counts what it is told. Raises MissingExtraError E_EXTRA where prometheus-client is not installed."""

    def __init__(self, state: Callable[[], State]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram
        except ImportError as error:
            raise missing_extra("observe", "counting for Prometheus") from error

        def counter(name: str, *labels: str) -> Counter:
            return Counter(name, METRICS[name], labels, registry=self._registry)

        def histogram(name: str, *labels: str) -> Histogram:
            return Histogram(name, METRICS[name], labels, buckets=BUCKETS, registry=self._registry)

        self._registry = CollectorRegistry()
        self._registry.register(_States(state))
        self._searches = counter("fingerpost_searches", "operation")
        self._errors = counter("fingerpost_errors", "code")
        self._fallbacks = counter("fingerpost_fallbacks", "reason")
        self._refusals = counter("fingerpost_refusals")
        self._whole = histogram("fingerpost_operation_seconds", "operation")
        self._stage = histogram("fingerpost_stage_seconds", "stage")

    def take(self, seen: Seen) -> None:
        """Count one search or answer."""
        if seen.trace is None:
            self._errors.labels(seen.error).inc()
            return
        self._searches.labels(seen.operation).inc()
        self._whole.labels(seen.operation).observe(seen.seconds)
        for stage in seen.trace.stages:
            self._stage.labels(stage.name).observe(stage.ms / 1000)
        reason = fallback(seen.trace.plan.reason) if seen.trace.plan is not None else ""
        if reason:
            self._fallbacks.labels(reason).inc()
        if seen.extractive:
            self._fallbacks.labels("extractive_answer").inc()
        if seen.refused:
            self._refusals.inc()

    def text(self) -> str:
        """Everything in Prometheus' text format, to be served as it is."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry).decode()


class _States:
    """Reads the index when it is scraped."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """The families of metrics that are states."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._state()
        name = "fingerpost_audits"
        yield CounterMetricFamily(name, METRICS[name], value=now.audits)
        for name, value in {
            "fingerpost_audit_recall": now.recall,
            "fingerpost_fresh_chunks": now.fresh,
            "fingerpost_chunks": now.chunks,
            "fingerpost_generation": now.generation,
        }.items():
            yield GaugeMetricFamily(name, METRICS[name], value=value)
        yield from _freshness(now.freshness)


def _freshness(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

    name = "fingerpost_freshness_lag_seconds"
    lags = HistogramMetricFamily(name, METRICS[name], labels=["step"])
    name = "fingerpost_freshness_waiting"
    waiting = GaugeMetricFamily(name, METRICS[name], labels=["step"])
    for step, told in steps.items():
        bounds = [*(str(edge) for edge in told["below"]), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(told["counts"])), strict=True))
        lags.add_metric([step], buckets, told["total"])
        waiting.add_metric([step], told["waiting"])
    yield from (lags, waiting)
