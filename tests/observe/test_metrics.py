"""Prometheus reads what an index counts, with the field's own parser."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import MissingExtraError, UsageError
from fingerpost.index import Index
from fingerpost.observe.names import METRICS, STAGES, fallback

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_searches_answers_errors_and_stages_are_counted(watched: Callable[..., Index]) -> None:
    index = watched(metrics=True)
    index.search("rotate the signing key")
    index.search("error E4012")
    index.ask("How do I rotate the signing key?")
    index.ask("What do penguins eat in winter?")
    for query, k in (("", 5), ("?" * 40_000, 5)):
        with pytest.raises(UsageError):
            index.search(query, k=k)
    found = samples(index.metrics())
    assert found["fingerpost_searches_total", (("operation", "search"),)] == 2
    assert found["fingerpost_searches_total", (("operation", "ask"),)] == 2
    assert found["fingerpost_errors_total", (("code", "E_EMPTY_QUERY"),)] == 1
    assert found["fingerpost_errors_total", (("code", "E_TOO_LONG"),)] == 1
    for stage in STAGES:
        expected = 2 if stage in ("spans", "ground") else 4
        assert found["fingerpost_stage_seconds_count", (("stage", stage),)] == expected
        assert found["fingerpost_stage_seconds_bucket", (("le", "+Inf"), ("stage", stage))] == expected
    assert found["fingerpost_fallbacks_total", (("reason", "small_index"),)] == 4
    assert found["fingerpost_audits_total", ()] == 0
    assert found["fingerpost_chunks", ()] == index.status()["chunks"]


def test_fresh_chunks_and_audits_are_those_of_the_moment(watched: Callable[..., Index]) -> None:
    index = watched(metrics=True)
    assert samples(index.metrics())["fingerpost_fresh_chunks", ()] == 0
    rooms = index._rooms
    rooms.audits.add(rooms.audited(rooms.epoch(rooms.store.snapshot())), 0.5)
    found = samples(index.metrics())
    assert (found["fingerpost_audits_total", ()], found["fingerpost_audit_recall", ()]) == (1, 0.5)


def test_two_indexes_do_not_mix(watched: Callable[..., Index]) -> None:
    one, other = watched(metrics=True), watched(metrics=True)
    one.search("signing key")
    assert samples(one.metrics())["fingerpost_searches_total", (("operation", "search"),)] == 1
    assert ("fingerpost_searches_total", (("operation", "search"),)) not in samples(other.metrics())


def test_every_metric_is_documented(watched: Callable[..., Index]) -> None:
    written = {family.name for family in text_string_to_metric_families(watched(metrics=True).metrics())}
    assert {name for name in written if not name.endswith("_created")} == METRICS.keys()
    page = (Path(__file__).parents[2] / "docs" / "observe.md").read_text(encoding="utf-8")
    assert not [name for name in METRICS if f"`{name}" not in page]


def test_metrics_that_are_off_say_so(watched: Callable[..., Index]) -> None:
    with pytest.raises(UsageError, match="metrics are off") as caught:
        watched().metrics()
    assert "metrics = true" in caught.value.cure


@pytest.mark.parametrize(
    ("key", "module"),
    [("metrics", "prometheus_client"), ("spans", "opentelemetry")],
    ids=["metrics", "spans"],
)
def test_a_missing_extra_is_named_when_the_index_opens(
    own_kb: Path, monkeypatch: pytest.MonkeyPatch, key: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        fingerpost.open(own_kb, settings=Settings.model_validate({"observe": {key: True}}))
    assert caught.value.cure == "pip install 'fingerpost[observe]'"


def test_nothing_is_imported_when_nothing_is_asked_for(own_kb: Path) -> None:
    import subprocess

    code = (
        f"import fingerpost, sys; i = fingerpost.open({str(own_kb)!r}); i.search('signing key');"
        "print(sorted({'prometheus_client', 'opentelemetry'} & sys.modules.keys()), i._observing)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] None\n"


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("lexical only: the index has no encoder", "no_encoder"),
        ("full search: audits found recall 0.70 of 100 queries, target 0.90", "audits"),
        ("full search: 12 chunks, routing starts at 50,000", "small_index"),
        ("full search: recall 0.9 would need 80% of the chunks", "too_wide"),
        ("full search: the moon is full", "other"),
        ("trained: 3 of 300 leaves, 1.0% of the chunks", ""),
    ],
)
def test_reasons_become_few_labels(reason: str, label: str) -> None:
    assert fallback(reason) == label
