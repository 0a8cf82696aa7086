"""Freshness lag: every write is counted once a step, kept across processes, and shown in every place."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import fingerpost
from fingerpost.cli.app import run
from fingerpost.evaluate.freshness import STEPS
from fingerpost.index.build import building
from fingerpost.index.lagging import MOST_WAITING, NAME, Lagging, Write
from fingerpost.index.progress import silent

WATCHED = fingerpost.Settings.model_validate({"observe": {"metrics": True}})


def changes(index: fingerpost.Index) -> dict[str, tuple[Any, Any]]:
    return {step: (told["changes"], told["waiting"]) for step, told in index.freshness().items()}


def test_each_step_counts_every_change_once(own_kb: Path, tmp_path: Path) -> None:
    page = tmp_path / "zebra.md"
    with fingerpost.open(own_kb, write=True) as index:
        assert changes(index) == dict.fromkeys(STEPS, (0, 0)), "the first build is not counted"
        before = monotonic()
        for text in ("Ticket QX-4711.", "Ticket QX-4712.", "Ticket QX-4712."):
            page.write_text(f"# Zebra\n\n{text}\n")
            index.update(page)
        index.delete(index.search("QX-4712")[0].doc_id)
        took = monotonic() - before
        assert changes(index) == {"durable": (3, 0), "lexical": (3, 0), "dense": (3, 0), "routed": (0, 3)}
    with fingerpost.open(own_kb, write=True) as index:
        building.fold(index._rooms, silent)
        assert changes(index) == dict.fromkeys(STEPS, (3, 0))
        told = index.freshness()
        for earlier, later in pairwise(STEPS):
            assert told[earlier]["p50"] <= told[later]["p50"]  # type: ignore[operator]
        assert 0 < told["dense"]["max"] <= took  # type: ignore[operator]


def test_status_metrics_and_evaluate_show_it(
    own_kb: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: object) -> str:
        capsys.readouterr()
        assert run([str(each) for each in arguments]) == 0
        return capsys.readouterr().out

    page = tmp_path / "zebra.md"
    page.write_text("# Zebra\n\nTicket QX-4711.\n")
    assert "freshness" not in told("status", "--at", own_kb)
    told("update", page, "--at", own_kb)
    text = told("status", "--at", own_kb)
    assert "freshness.durable        p50 " in text
    assert "freshness.routed         0 changes · 1 waiting" in text
    status = json.loads(told("status", "--at", own_kb, "--json"))["freshness"]
    assert sum(status["dense"]["histogram"]["counts"]) == status["dense"]["changes"] == 1
    report = tmp_path / "report.html"
    evaluated = told("evaluate", corpus / "questions", "--at", own_kb, "--json", "--report", report)
    assert json.loads(evaluated)["freshness"] == status
    assert "seconds until dense" in report.read_text()
    with fingerpost.open(own_kb, settings=WATCHED) as index:
        families = {each.name: each for each in text_string_to_metric_families(index.metrics())}
    samples = families["fingerpost_freshness_lag_seconds"].samples
    counted = {each.labels["step"]: each.value for each in samples if each.name.endswith("_count")}
    assert counted == {"durable": 1, "lexical": 1, "dense": 1, "routed": 0}
    waiting = {each.labels["step"]: each.value for each in families["fingerpost_freshness_waiting"].samples}
    assert waiting["routed"] == 1


def test_a_damaged_file_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lagging = Lagging(tmp_path)
    lagging.record([Write(1, 2, 0.0, 0.5)], lexical=0.5, dense=1.0)
    body = bytearray((tmp_path / NAME).read_bytes())
    for at in range(0, len(body), 7):
        damaged = body.copy()
        damaged[at] ^= 0x10
        (tmp_path / NAME).write_bytes(damaged)
        assert lagging.read().told()["dense"]["changes"] == 0
    assert "freshness is counted anew" in caplog.text
    Lagging(tmp_path).record([Write(1, 2, 0.0, 0.5)], lexical=0.5, dense=1.0)
    assert lagging.read().told()["dense"]["changes"] == 2


def test_many_writes_wait_in_a_small_file(tmp_path: Path) -> None:
    lagging = Lagging(tmp_path)
    for seq in range(1, 4 * MOST_WAITING):
        lagging.record([Write(seq, 1, monotonic(), monotonic())], lexical=monotonic(), dense=monotonic())
    kept = lagging.read()
    assert len(kept.waiting) <= MOST_WAITING
    assert kept.late("routed") == 4 * MOST_WAITING - 1
    assert (tmp_path / NAME).stat().st_size < 100_000
    lagging.routed(4 * MOST_WAITING)
    told = lagging.read().told()["routed"]
    assert (told["changes"], told["waiting"]) == (4 * MOST_WAITING - 1, 0)
