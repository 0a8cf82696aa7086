"""The query log: opt-in, masked, bounded, shared by processes, and never mistaken for gold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fingerpost
from fingerpost.config import Settings
from fingerpost.errors import InputError, NotFoundError, UsageError
from fingerpost.index import Index
from fingerpost.observe.querylog import NAME, OLD, QueryLog
from fingerpost.observe.seen import Seen
from fingerpost.records import Trace


def kept(kb: Path) -> list[dict[str, Any]]:
    path = kb / NAME
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def log(folder: Path, *, share: float = 1.0, most_mb: int = 1) -> QueryLog:
    return QueryLog(folder, clean=str, share=share, most_mb=most_mb)


def seen(query: str) -> Seen:
    return Seen("search", query, 5, 0, 0.01, Trace(query, 1), [("a.md", 1.0)])


def test_it_is_off_unless_asked_for(watched: Callable[..., Index], own_kb: Path) -> None:
    index = watched()
    index.search("signing key")
    assert not (own_kb / NAME).exists()
    with pytest.raises(UsageError, match="query log is off"):
        index.feedback("signing key", "docs/auth.md")


def test_what_is_kept_is_masked_and_private(watched: Callable[..., Index], own_kb: Path) -> None:
    index = watched(log_queries=True)
    best = index.search("why can jo@firm.org not log in?")[0]
    index.ask("How do I rotate the signing key?")
    index.feedback("why can jo@firm.org not log in?", best.doc_id)
    searched, asked, clicked = kept(own_kb)
    assert searched["query"] == clicked["query"]
    assert "⟦email:" in searched["query"]
    assert "jo@firm" not in (own_kb / NAME).read_text(encoding="utf-8")
    assert best.doc_id in searched["results"]
    assert set(searched["stages"]) == {"encode", "route", "retrieve", "rerank", "spans"}
    assert (asked["kind"], clicked["doc_id"]) == ("ask", best.doc_id)
    assert (own_kb / NAME).stat().st_mode & 0o077 == 0
    assert not fingerpost.doctor(own_kb)


def test_a_click_names_a_document_one_may_read(watched: Callable[..., Index], own_kb: Path) -> None:
    index = watched(log_queries=True)
    with pytest.raises(NotFoundError):
        index.feedback("signing key", "no/such.md")
    with pytest.raises(UsageError, match="E_EMPTY_QUERY"):
        index.feedback(" ", "docs/auth.md")
    assert kept(own_kb) == []


def test_the_share_is_drawn_by_the_query_s_text(tmp_path: Path) -> None:
    for number in range(400):
        log(tmp_path, share=0.25).take(seen(f"query {number % 200}"))
    asked = log(tmp_path).read().asked
    assert 25 < len(asked) < 75
    assert set(asked.values()) == {2}


def test_it_never_grows_beyond_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    written = log(tmp_path, most_mb=1)
    for number in range(9_000):
        written.take(seen(f"query {number} {'x' * 100}"))
    size = sum((tmp_path / name).stat().st_size for name in (NAME, OLD))
    assert 400_000 < size <= 1_000_000
    asked = list(written.read().asked)
    assert asked[-1].startswith("query 8999 ")
    assert not any(each.startswith("query 0 ") for each in asked)


def test_several_processes_write_whole_lines(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fingerpost.observe.querylog import QueryLog;"
        f"log = QueryLog(Path({str(tmp_path)!r}), clean=str, share=1.0, most_mb=100);"
        "[log.click(f'{sys.argv[1]} {n} ' + 'y' * 3000, 'a.md', at=n) for n in range(300)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [each.wait() for each in running] == [0, 0, 0]
    found = log(tmp_path).read()
    assert (len(found.clicks), found.damaged) == (900, 0)


def test_torn_lines_are_counted(tmp_path: Path) -> None:
    log(tmp_path).click("how?", "a.md", at=0)
    with (tmp_path / NAME).open("ab") as file:
        file.write(
            b'{"kind": "click", "query": "to\n\xff\xfe\n[1]\n{"kind": "click", "query": "q", "doc_id": 7}\n'
        )
    found = log(tmp_path).read()
    assert (found.clicks, found.damaged) == ({"how?": {"a.md": 1}}, 4)


def test_a_full_disk_loses_the_line_and_not_the_search(
    watched: Callable[..., Index], own_kb: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (own_kb / NAME).mkdir()  # cannot be written, as a full or read-only disk could not
    index = watched(log_queries=True)
    assert index.search("signing key")
    assert index.search("signing key")
    assert len([each for each in caplog.records if "QueryLog is switched off" in each.message]) == 1


def test_learning_from_the_log_marks_its_pairs(own_kb: Path) -> None:
    settings = Settings.model_validate({"observe": {"log_queries": True}})
    with fingerpost.open(own_kb, write=True, settings=settings) as index:
        made = index.questions(generate=100)
        for query_id, text in made.queries.items():
            for doc_id in made.qrels[query_id]:
                index.feedback(text, doc_id)
                index.feedback(f"tell me of {text}", doc_id)
        report = index.learn(index.clicks())
        assert report.counts["queries"] == 2 * len(made.queries)
        assert {pair.origin for pair in index._rooms.store.pairs()} >= {"log"}
        assert "gold" not in {pair.origin for pair in index._rooms.store.pairs()}
        assert index.evaluate(index.logged()).seen.all()


def test_without_clicks_there_is_nothing_to_learn(watched: Callable[..., Index]) -> None:
    with pytest.raises(InputError, match="no click"):
        watched(log_queries=True).clicks()
