"""Chunks situated by a language model behind a real server: found by what it says, cited without it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests import smollm2
from tests.chat import TOO_LONG, Chat, Request, completion, says, send, speaks

import fingerpost
from fingerpost.config import LlmSettings, Settings, parse
from fingerpost.errors import ConfigError, UsageError
from fingerpost.index import Index
from fingerpost.index.build.situating import DRAFT
from fingerpost.models import llm

pytest.importorskip("httpx", reason="the extra 'llm' is not installed")

PATIENCE = 300.0
"""Seconds until a hanging test fails; no measure of speed."""
PARTS = ("Draining", "Refilling", "Bleeding", "Testing")
CODES = {part: f"PX-{41 + at}07" for at, part in enumerate(PARTS)}


def manual() -> str:
    """A manual whose sections never name the machine, each with an error code of its own."""
    body = "\n\n".join(
        f"## {part}\n\nOpen the valve, wait until the gauge stands still, close it again. {CODES[part]} on "
        "the display means that the gauge did not stand still within ten minutes."
        for part in PARTS
    )
    return f"# Service notes\n\nAbout the heat exchanger Borealis.\n\n{body}\n"


def about(prompt: str) -> str:
    """What an honest model says: the subject that the passage leaves unsaid."""
    passage = prompt.split("⟦passage")[1]
    part = next((part for part in PARTS if f"› {part}" in passage or f"## {part}" in passage), "the start")
    return f"This explains {part.lower()} of the heat exchanger Borealis, e.g. PX-9999 and zulu@example.org."


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    with Chat(speaks(about)) as found:
        yield found


def settings(url: str, **compile_settings: object) -> Settings:
    own = {"situate": True, "chunk_tokens": 96, "min_chunk_tokens": 16, "threads": 1, **compile_settings}
    return Settings.model_validate({"compile": own, "llm": {"url": url, "model": "m"}})


def written(folder: Path, text: str) -> Path:
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "manual.md").write_text(text)
    (folder / "docs" / "other.md").write_text("# Canteen\n\nSoup on Mondays, and the oven cools at night.\n")
    return folder / "docs"


def chunks_of(index: Index, doc_id: str) -> list[fingerpost.records.Chunk]:  # type: ignore[name-defined]
    return index._rooms.store.desk.chunks_of(doc_id)


def test_what_the_model_says_is_found_and_never_cited(tmp_path: Path, model: Chat) -> None:
    docs = written(tmp_path, manual())
    told: list[str] = []
    with fingerpost.compile(
        docs, to=tmp_path / "kb", settings=settings(model.url), announce=told.append
    ) as index:
        held = chunks_of(index, "manual.md")
        assert len(held) == len(PARTS)
        assert all("heat exchanger Borealis" in chunk.about for chunk in held)
        assert all(chunk.about not in chunk.text and chunk.about in chunk.passage for chunk in held)
        found = index.search("bleeding the Borealis exchanger", k=3)
        assert "Bleeding" in found[0].text
        for span in found:
            assert index.document(span.doc_id).text[span.start : span.end] == span.text
        assert all("This explains" not in span.text for span in found)
        assert "This explains" in str(index.explain("bleeding the exchanger", k=1))
        assert index.doctor() == []
        assert f"situated {len(model.requests)} chunks, 0 kept their sentence" in index.report.notes
    count = len(model.requests)
    assert re.match(rf"{count} chunks of 2 documents to situate: {count} requests, about [\d,]+ in", told[0])
    with fingerpost.open(tmp_path / "kb") as again:  # searching needs no model
        assert "Bleeding" in again.search("bleeding the Borealis exchanger")[0].text


def test_codes_are_found_where_the_document_says_them(tmp_path: Path, model: Chat) -> None:
    faults = f"One of the faults {', '.join(CODES.values())} of Borealis; see PX-9999."
    model.reply = says(faults)
    with fingerpost.compile(
        written(tmp_path, manual()), to=tmp_path / "kb", settings=settings(model.url)
    ) as index:
        for part, code in CODES.items():
            assert f"## {part}" in index.search(code)[0].text or part in index.search(code)[0].heading
            assert code in index.search(code)[0].text
        assert not any("PX-9999" in chunk.about for chunk in chunks_of(index, "manual.md"))


def test_prompts_of_a_document_begin_alike_and_what_is_written_is_masked(tmp_path: Path, model: Chat) -> None:
    docs = written(tmp_path, manual() + "\nAsk jo@firm.org.\n")
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model.url)) as index:
        assert not any("example.org" in c.about for c in chunks_of(index, "manual.md"))
        assert all("⟦" not in c.about or "email:" in c.about for c in chunks_of(index, "manual.md"))
    prompts = [each for each in model.prompts if "Borealis" in each.split("⟦end")[0]]
    assert len({each.split("⟦passage")[0] for each in prompts}) == 1
    assert not any("jo@firm.org" in each for each in prompts)


def test_a_chunk_with_its_sentence_fits_the_encoder(tmp_path: Path, model: Chat) -> None:
    model.reply = says("word " * 400)
    with fingerpost.compile(
        written(tmp_path, manual() * 3), to=tmp_path / "kb", settings=settings(model.url)
    ) as index:
        encoder = index._rooms.encoder
        assert encoder is not None
        for chunk in chunks_of(index, "manual.md"):
            assert len(encoder.offsets(chunk.passage)) <= 96 - 2
            assert len(encoder.offsets(chunk.about)) == 24  # a quarter of the chunk


def test_only_what_changed_is_asked_again(tmp_path: Path, model: Chat) -> None:
    docs = written(tmp_path, manual())
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model.url)) as index:
        first = len(model.requests)
        assert index.update(docs).counts["unchanged"] == 2
        assert len(model.requests) == first
        told: list[str] = []
        written(tmp_path, manual().replace("ten minutes", "one hour", 1))
        report = index.update(docs, announce=told.append)
        assert report.counts["updated"] == 1
        assert len(model.requests) == first + 1
        assert told[0].startswith("1 chunk of 1 document to situate: 1 request, about")
        assert all(chunk.about for chunk in chunks_of(index, "manual.md"))
        index.delete("manual.md")
        assert [span.doc_id for span in index.search("heat exchanger Borealis")] in ([], ["other.md"])


def test_a_model_that_fails_leaves_the_index_whole_and_is_asked_by_the_next_run(
    tmp_path: Path, model: Chat
) -> None:
    model.reply = speaks(lambda prompt: None)
    docs = written(tmp_path, manual())
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=settings(model.url)) as index:
        failed = len(model.requests)
        assert 3 <= failed <= 3 + 4  # left alone after three in a row, those on their way apart
        assert any(
            re.match(r"\d+ chunks without a sentence \(E_MODEL\)", note) for note in index.report.notes
        )
        assert index.search("PX-4207")[0].doc_id == "manual.md"
        model.reply = speaks(about)
        assert index.update(docs).counts["updated"] == 2
        assert all(chunk.about for chunk in chunks_of(index, "manual.md"))


def test_a_run_that_is_killed_pays_for_no_sentence_twice(tmp_path: Path, model: Chat) -> None:
    docs, kb = written(tmp_path, manual() * 4), tmp_path / "kb"
    enough, dead = threading.Event(), threading.Event()

    def slow(prompt: str) -> str:
        if len(model.requests) >= 10:
            enough.set()
            assert dead.wait(PATIENCE)
        return about(prompt)

    model.reply = speaks(slow)
    config = tmp_path / "own.toml"
    config.write_text(
        "[compile]\nsituate = true\nchunk_tokens = 96\nmin_chunk_tokens = 16\nthreads = 1\n"
        f'[llm]\nurl = "{model.url}"\nmodel = "m"\n'
    )
    command = [sys.executable, "-m", "fingerpost.cli", "compile", str(docs), "--to", str(kb)]
    running = subprocess.Popen([*command, "--config", str(config)], stderr=subprocess.DEVNULL)
    assert enough.wait(PATIENCE)
    draft = kb / DRAFT
    while not draft.exists() or draft.read_text().count("\n") < 4:
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.wait()
    dead.set()
    model.drain()
    kept = [json.loads(line) for line in draft.read_text().splitlines()]
    assert len(kept) >= 4
    before, model.reply = len(model.requests), speaks(about)
    with fingerpost.compile(docs, to=kb, settings=parse(config.read_text())) as index:
        total = len(chunks_of(index, "manual.md")) + len(chunks_of(index, "other.md"))
        assert all(chunk.about for chunk in chunks_of(index, "manual.md"))
    assert len(model.requests) - before == total - len(kept)
    assert not draft.exists()


def test_no_prompt_is_longer_than_the_server_holds(tmp_path: Path, model: Chat) -> None:
    most = 2_048
    docs = written(tmp_path, manual() * 12)

    def holds(handler: BaseHTTPRequestHandler, request: Request) -> None:
        size = sum(len(message["content"].encode()) for message in request.body["messages"])  # type: ignore
        fits = size // 4 + int(request.body["max_tokens"]) <= most  # type: ignore[call-overload]
        send(handler, 200 if fits else 400, completion(about(request.prompt)) if fits else TOO_LONG)

    model.reply = holds
    own = settings(model.url).model_copy(update={"llm": LlmSettings(url=model.url, context_tokens=most)})
    with fingerpost.compile(docs, to=tmp_path / "kb", settings=own) as index:
        assert all(chunk.about for chunk in chunks_of(index, "manual.md"))
        assert not any("without a sentence" in note for note in index.report.notes)
    wide = settings(model.url)
    with fingerpost.compile(docs, to=tmp_path / "other", settings=wide) as index:
        assert not any(chunk.about for chunk in chunks_of(index, "manual.md"))
        assert all(chunk.about for chunk in chunks_of(index, "other.md"))  # a short document is asked about
        assert any("without a sentence (E_TOO_BIG)" in note for note in index.report.notes)


def test_a_task_given_back_is_no_sentence(tmp_path: Path, model: Chat) -> None:
    replies = iter([smollm2.SITUATED] + ["Say in one short sentence what this passage is about."] * 20)
    model.reply = speaks(lambda _: next(replies))
    own = settings(model.url).model_copy(update={"llm": LlmSettings(url=model.url, at_once=1)})
    with fingerpost.compile(written(tmp_path, manual()), to=tmp_path / "kb", settings=own) as index:
        held = [chunk.about for name in ("manual.md", "other.md") for chunk in chunks_of(index, name)]
        assert sum(map(bool, held)) == 1
        assert any("the reply was of no use" in note for note in index.report.notes)


def test_what_cannot_be_done_is_refused_before_anything_is_sent(tmp_path: Path, model: Chat) -> None:
    docs = written(tmp_path, manual())
    with pytest.raises(UsageError, match=r"more than compile\.situate_budget allows") as refused:
        fingerpost.compile(docs, to=tmp_path / "a", settings=settings(model.url, situate_budget=10))
    assert refused.value.code == "E_TOO_BIG"
    with pytest.raises(ConfigError, match="needs a language model"):
        fingerpost.compile(docs, to=tmp_path / "b", settings=settings(""))
    with pytest.raises(ConfigError, match=r"needs compile\.context"):
        fingerpost.compile(docs, to=tmp_path / "c", settings=settings(model.url, context=False))
    assert model.requests == []
