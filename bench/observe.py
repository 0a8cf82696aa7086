"""What observing costs: milliseconds of CPU of a search with it against the same search without.

    python -m bench.observe [--at bench/cache/quality/scifact] [--rounds 8] [--queries 150]

``off`` is ``Index.trace`` with every observer off against the search alone, beneath the switch: it should
cost nothing. The others are against ``off``: metrics; spans by the real SDK (batched, to an exporter that
drops them); the query log; all three. Each query is asked in every way before the next one, in another order
each time; a cost is the median of the differences of such pairs. CPU time of the whole process, the SDK's
thread included, so that a busy machine disturbs it little.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate.datasets import load_beir
from fingerpost.index import observing
from fingerpost.index.search.found import Request

WAYS: Mapping[str, Mapping[str, bool]] = {
    "off": {},
    "metrics": {"metrics": True},
    "spans": {"spans": True},
    "query log": {"log_queries": True},
    "all": {"metrics": True, "spans": True, "log_queries": True},
}
K = 10
ONE_THREAD = {"compile": {"threads": 1}}


class Nowhere(SpanExporter):
    """Takes spans and lets them go."""

    def export(self, spans: object) -> SpanExportResult:
        """Everything went well."""
        return SpanExportResult.SUCCESS


def ways(kb: Path, stack: ExitStack) -> dict[str, Callable[[str], object]]:
    """Way → a search of one query by the same open index, so that they share its caches and its model."""
    index = stack.enter_context(fingerpost.open(kb, settings=Settings.model_validate(ONE_THREAD)))
    rooms = index._rooms
    found: dict[str, Callable[[str], object]] = {"beneath": lambda text: index._trace(Request(text), K)}
    for name, observe in WAYS.items():
        rooms.settings = Settings.model_validate({"observe": observe, **ONE_THREAD})
        observers = observing.of(rooms)

        def search(text: str, observers: observing.Observing | None = observers) -> object:
            index._observing = observers
            return index.trace(text, k=K)

        found[name] = search
    return found


def costs(some: list[float], base: list[float]) -> float:
    """The median difference of pairs."""
    return float(np.median(np.array(some) - np.array(base)))


def main() -> None:
    """Search, turn about."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, default=CACHE / "quality" / "scifact")
    parser.add_argument("--data", default="scifact")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--queries", type=int, default=150)
    options = parser.parse_args()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    texts = list(load_beir(data_folder() / options.data).queries.values())[: options.queries]
    drawn = random.Random(0)
    ms: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, ExitStack() as stack:
        kb = Path(shutil.copytree(options.at, Path(folder) / "kb"))
        each = ways(kb, stack)
        for number in range(options.rounds + 1):
            for text in texts:
                for name in drawn.sample(sorted(each), len(each)):
                    began = time.process_time()
                    each[name](text)
                    if number:
                        ms.setdefault(name, []).append(1000 * (time.process_time() - began))
    median = {name: float(np.median(values)) for name, values in ms.items()}
    cost = {name: costs(ms[name], ms["beneath" if name == "off" else "off"]) for name in WAYS}
    share = {name: cost[name] / median["off"] for name in WAYS}
    rows = [[name, median[name], f"{1000 * cost[name]:+.0f}", f"{100 * share[name]:+.2f} %"] for name in WAYS]
    print(table(["observing", "median ms", "µs more", "share"], rows))
    write("observe", {"searches": len(ms["off"]), "median_ms": median, "more_ms": cost, "share": share})


if __name__ == "__main__":
    main()
