"""Updates under trouble: one bad document among good ones, lost vectors, a history replayed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tests.index import machines

import fingerpost
from fingerpost.compiler import chunk
from fingerpost.index import facade
from fingerpost.index.build import building, updating
from fingerpost.index.progress import silent
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
        assert "1 chunk without a vector" in {stage.name: stage.note for stage in trace.stages}["retrieve"]
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


def apply(index: fingerpost.Index, event: dict[str, str], standing: dict[str, Document]) -> None:
    """One event, as an update of its own; ``standing`` follows."""
    if event["op"] == "delete":
        if standing.pop(event["_id"], None) is not None:
            index.delete(event["_id"])
        return
    document = Document(event["_id"], event["text"], event.get("title", ""))
    standing[document.doc_id] = document
    building.put(index._rooms, [cut(document)], building.Ingested())


def empty(path: Path) -> fingerpost.Index:
    source = path.with_suffix(".jsonl")
    source.write_text('{"_id": "placeholder", "text": "nothing"}\n')
    return fingerpost.compile(source, to=path, settings=WORDS_ONLY)


def same_as_from_scratch(
    happened: Iterable[dict[str, str]], tmp_path: Path, *, every: int, ask: int
) -> dict[str, int]:
    """Replay, fold after ``every`` events, and compare with an index made of what stands then; returns how
    many rankings were compared, and how many were the same.
    """
    standing: dict[str, Document] = {}
    choice, same, asked = random.Random(0), 0, 0
    with empty(tmp_path / "grown") as grown:
        for number, event in enumerate(happened, start=1):
            apply(grown, event, standing)
            if number % (every // 3) == 0:
                building.fold(grown._rooms, silent)
            if number % every:
                continue
            with empty(tmp_path / f"new-{number}") as new:
                building.put(new._rooms, [cut(each) for each in standing.values()], building.Ingested())
                building.fold(new._rooms, silent)
                building.fold(grown._rooms, silent)
                assert state(grown) == state(new)
                for text in questions(standing, choice, ask):
                    same += ranking(grown, text) == ranking(new, text)
                    asked += 1
    assert asked
    assert same >= 0.99 * asked, f"{same} of {asked} rankings are the same"
    return {"trials": asked, "same": same}


def questions(standing: dict[str, Document], choice: random.Random, count: int) -> list[str]:
    """A few words each of documents that stand."""
    texts = [standing[name].text.split() for name in choice.sample(sorted(standing), count)]
    return [" ".join(choice.sample(words, min(5, len(words)))) for words in texts]


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


def test_three_hundred_events_of_a_history(
    shared_data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = same_as_from_scratch(islice(events(shared_data), 300), tmp_path, every=150, ask=50)
    for name, count in found.items():
        record_property(name, count)


@pytest.mark.slow
def test_a_whole_history(
    shared_data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for name, count in same_as_from_scratch(events(shared_data), tmp_path, every=1_000, ask=200).items():
        record_property(name, count)


@pytest.mark.parametrize("anew", [False, True])
def test_a_fold_keeps_the_neighbour_graph_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    page = machines.corpus(tmp_path)
    routed = {"route": {"full_below": 0, "leaf_chunks": 16}, "store": {"late": False}}
    settings = fingerpost.Settings.model_validate(routed)
    monkeypatch.setattr(building, "REGRAPH", -1.0 if anew else 1.0)
    with fingerpost.compile(page, to=tmp_path / "kb", settings=settings) as index:
        twin = index.document("m7").text
        new = tmp_path / "new.jsonl"
        new.write_text(json.dumps({"_id": "twin", "title": "Machine 7", "text": twin}) + "\n")
        index.update(new)
        index.delete("m9")
        building.fold(index._rooms, silent)
        snapshot = index._rooms.store.snapshot()
        key = {name: int(snapshot.chunk_keys([snapshot.doc_key(name)])[0]) for name in ("twin", "m7")}
        near = snapshot.neighbours(snapshot.keys())
        assert key["m7"] in snapshot.neighbours(np.array([key["twin"]]))
        assert key["twin"] in snapshot.neighbours(np.array([key["m7"]]))
        assert set(near.ravel().tolist()) <= {-1, *snapshot.keys().tolist()}
        assert (near[:, :8] >= 0).all()


def test_what_is_fresh_is_folded_when_it_is_much_for_an_index_of_this_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "LIGHT", 4)
    chosen = WORDS_ONLY.model_copy(update={"store": WORDS_ONLY.store.model_copy(update={"fold_after": 3})})
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "0.md").write_text("The canteen opens at noon.\n")
    folded = []
    with fingerpost.compile(folder, to=tmp_path / "kb", settings=chosen) as index:
        for number in range(1, 40):
            (folder / f"{number}.md").write_text(f"Amber note number {number}.\n")
            before = index.status()["generation"]
            index.update(folder)
            index.settle()
            if index.status()["generation"] != before:
                folded.append(number)
    assert folded[:3] == [3, 6, 9]
    gaps = np.diff(folded)
    assert gaps.tolist() == sorted(gaps)
    assert gaps[-1] == int(3 * ((folded[-2] + 1) / 4) ** 0.5)
