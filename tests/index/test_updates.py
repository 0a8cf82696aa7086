"""Updates under trouble: one bad document among good ones, lost vectors, a history replayed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

import fingerpost
from fingerpost.compiler import chunk
from fingerpost.index import building, facade
from fingerpost.index.rooms import silent
from fingerpost.records import Chunk, Document

WORDS_ONLY = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})


def test_one_document_that_cannot_be_kept_stops_no_other(tmp_path: Path) -> None:
    source = tmp_path / "notes.jsonl"
    source.write_text('{"_id": "first", "text": "The canteen opens at noon."}\n')
    with fingerpost.compile(source, to=tmp_path / "kb", settings=WORDS_ONLY) as index:
        rooms, done = index._rooms, building.Ingested()
        good = [Document(f"good{at}", f"Amber note {at}.") for at in range(3)]
        bad = [
            Document("bad", "A number too large.", metadata={"path": "a.jsonl", "size": 2**70}),
            Document("x" * 600, "An id too long."),
            Document("lone\ud800", "An id that is not text."),
        ]
        batch = [(each, chunk.split(each, count=None, settings=WORDS_ONLY)) for each in [*bad, *good]]
        building.put(rooms, batch, done)
        assert done.added == 3
        assert done.doc_ids == ["good0", "good1", "good2"]
        assert [rejection.code for rejection in done.rejections] == ["E_BAD_FORMAT", "E_ID", "E_ID"]
        assert done.rejections[0].source == "a.jsonl bad"
        json.dumps([rejection.source for rejection in done.rejections]).encode()
        assert {span.doc_id for span in index.search("amber note")} == {"good0", "good1", "good2"}


@pytest.mark.parametrize("damage", ["missing", "garbage", "a flipped byte"])
def test_lost_vectors_are_told_and_made_again(own_kb: Path, tmp_path: Path, damage: str) -> None:
    page = tmp_path / "zebra.md"
    page.write_text("# Zebra\n\nThe flux capacitor of ticket QX-4711 hums in B flat.\n")
    with fingerpost.open(own_kb, write=True) as index:
        index.update(page)
        before = index.search("which device makes a musical sound?", k=1)
    (tail,) = own_kb.glob("tail-*.db")
    body = bytearray(tail.read_bytes())
    for path in own_kb.glob("tail-*"):
        path.unlink()
    if damage == "garbage":
        tail.write_bytes(b"not a database" * 500)
    elif damage == "a flipped byte":
        body[-200] ^= 0x40
        tail.write_bytes(body)
    with fingerpost.open(own_kb) as index:
        spans, trace = index.trace("QX-4711")
        assert spans[0].doc_id.endswith("zebra.md")
        assert "1 chunks have no vector" in {stage.name: stage.note for stage in trace.stages}["retrieve"]
        assert index.status()["missing_vectors"] == 1
    with fingerpost.open(own_kb, write=True) as index:
        index.update(page)
        _, trace = index.trace("QX-4711")
        assert {stage.name: stage.note for stage in trace.stages}["retrieve"] == ""
        assert index.search("which device makes a musical sound?", k=1) == before
        assert index.doctor() == []


def events(folder: Path) -> Iterator[dict[str, str]]:
    """What happened to the pages, in order of time."""
    with gzip.open(folder / "docs-history" / "tldr-english" / "events.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


def cut(document: Document) -> tuple[Document, list[Chunk]]:
    return document, chunk.split(document, count=None, settings=WORDS_ONLY)


def replay(index: fingerpost.Index, happened: Iterable[dict[str, str]]) -> dict[str, Document]:
    """Each event as an update of its own; returns the documents that stand."""
    standing: dict[str, Document] = {}
    rooms, done = index._rooms, building.Ingested()
    for number, event in enumerate(happened, start=1):
        if event["op"] == "delete":
            if standing.pop(event["_id"], None) is not None:
                index.delete(event["_id"])
        else:
            document = Document(event["_id"], event["text"], event.get("title", ""))
            standing[document.doc_id] = document
            building.put(rooms, [cut(document)], done)
        if number % 120 == 0:
            building.fold(rooms, silent)
    return standing


def same_as_from_scratch(shared_data: Path, tmp_path: Path, *, count: int | None, queries: int) -> None:
    happened = list(islice(events(shared_data), count))
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"_id": "placeholder", "text": "nothing"}\n')
    with (
        fingerpost.compile(empty, to=tmp_path / "grown", settings=WORDS_ONLY) as grown,
        fingerpost.compile(empty, to=tmp_path / "new", settings=WORDS_ONLY) as new,
    ):
        standing = replay(grown, happened)
        building.put(new._rooms, [cut(each) for each in standing.values()], building.Ingested())
        building.fold(new._rooms, silent)
        assert state(grown) == state(new)
        choice = random.Random(0)
        texts = [each.text.split() for each in choice.sample(sorted(standing.values(), key=str), queries)]
        asked = [" ".join(choice.sample(words, min(5, len(words)))) for words in texts]
        differ = [text for text in asked if ranking(grown, text) != ranking(new, text)]
        assert len(differ) <= queries // 100, differ


def state(index: fingerpost.Index) -> tuple[set[str], dict[str, str]]:
    snapshot = index._rooms.store.snapshot()
    chunks = snapshot.chunks(snapshot.keys())
    documents = snapshot.about(set(snapshot.doc_keys(snapshot.keys()).tolist()))
    return {each.doc_id for each in documents}, {each.chunk_id: each.text for each in chunks}


def ranking(index: fingerpost.Index, text: str) -> list[tuple[str, float]]:
    """The first ten chunks by score, equal scores in the order of their ids."""
    found = facade.searching.find(index._rooms, facade.Request(text))
    names = [each.chunk_id for each in found.snapshot.chunks(found.keys)]
    scores = [round(float(score), 4) for score in found.scores]
    return sorted(zip(names, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[:10]


def test_three_hundred_events_of_a_history(shared_data: Path, tmp_path: Path) -> None:
    same_as_from_scratch(shared_data, tmp_path, count=300, queries=50)


@pytest.mark.slow
def test_a_whole_history(shared_data: Path, tmp_path: Path) -> None:
    same_as_from_scratch(shared_data, tmp_path, count=None, queries=200)
