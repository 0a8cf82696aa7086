"""Spans as the real SDK receives them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fingerpost.errors import UsageError
from fingerpost.index import Index
from fingerpost.observe.names import STAGES


@pytest.fixture(scope="module")
def provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    """One for the module: a process may set its provider only once."""
    exporter = InMemorySpanExporter()
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)
    return made, exporter


@pytest.fixture
def spans(provider: tuple[TracerProvider, InMemorySpanExporter]) -> Callable[[], list[ReadableSpan]]:
    provider[1].clear()
    return lambda: list(provider[1].get_finished_spans())


def root_of(spans: list[ReadableSpan]) -> ReadableSpan:
    (root,) = [span for span in spans if "gen_ai.operation.name" in (span.attributes or {})]
    return root


def test_a_search_is_a_retrieval_with_a_child_for_each_stage(
    watched: Callable[..., Index], spans: Callable[[], list[ReadableSpan]]
) -> None:
    found, told = watched(spans=True).trace("rotate the signing key", k=4)
    root = root_of(spans())
    assert root.name == "retrieval own-kb"
    assert dict(root.attributes or {}) == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.provider.name": "fingerpost",
        "gen_ai.data_source.id": "own-kb",
        "gen_ai.retrieval.top_k": 4,
        "fingerpost.generation": told.generation,
        "fingerpost.results": len({span.doc_id for span in found}),
        "fingerpost.plan": told.plan.reason if told.plan else "",
    }
    children = [span for span in spans() if span is not root]
    assert [child.name for child in children] == [stage for stage in STAGES if stage != "ground"]
    assert all(child.parent and child.parent.span_id == root.context.span_id for child in children)
    for child, stage in zip(children, told.stages, strict=True):
        assert None not in (child.start_time, child.end_time, root.start_time, root.end_time)
        assert (child.end_time - child.start_time) / 1e6 == pytest.approx(stage.ms, abs=0.01)
        assert root.start_time <= child.start_time <= child.end_time <= root.end_time + 1_000_000
        for name, count in stage.counts.items():
            assert (child.attributes or {})[f"fingerpost.{stage.name}.{name}"] == count


def test_it_is_the_child_of_the_application_s_own_span(
    watched: Callable[..., Index], spans: Callable[[], list[ReadableSpan]]
) -> None:
    index = watched(spans=True)
    with trace.get_tracer("shop").start_as_current_span("request") as request:
        index.search("signing key")
    parent = root_of(spans()).parent
    assert parent is not None
    assert parent.span_id == request.get_span_context().span_id


def test_what_was_asked_is_on_the_span_only_where_wanted_and_masked(
    watched: Callable[..., Index], spans: Callable[[], list[ReadableSpan]]
) -> None:
    query = "signing key of jo@firm.org"
    watched(spans=True).search(query)
    assert "jo@firm" not in str([span.to_json() for span in spans()])
    assert "gen_ai.retrieval.query.text" not in (root_of(spans()).attributes or {})
    trace.get_tracer_provider()
    index = watched(spans=True, content=True)
    before = len(spans())
    best = index.search(query)[0]
    attributes = root_of(spans()[before:]).attributes or {}
    assert str(attributes["gen_ai.retrieval.query.text"]).startswith("signing key of ⟦email:")
    first = json.loads(str(attributes["gen_ai.retrieval.documents"]))[0]
    assert first == {"id": best.doc_id, "score": pytest.approx(best.score)}
    assert "jo@firm" not in str([span.to_json() for span in spans()])


def test_an_error_is_on_the_span(
    watched: Callable[..., Index], spans: Callable[[], list[ReadableSpan]]
) -> None:
    with pytest.raises(UsageError):
        watched(spans=True).search("")
    root = root_of(spans())
    assert (root.attributes or {})["error.type"] == "E_EMPTY_QUERY"
    assert not root.status.is_ok


def test_a_refusal_is_no_error(
    watched: Callable[..., Index], spans: Callable[[], list[ReadableSpan]]
) -> None:
    watched(spans=True).ask("What do penguins eat in winter?")
    root = root_of(spans())
    assert (root.attributes or {})["fingerpost.refused"] is True
    assert root.status.is_unset
    assert "ground" in {span.name for span in spans()}
