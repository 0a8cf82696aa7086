"""Records are found by their short metadata, in a real index, and by nothing that they do not show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.index import Index

AREAS = ("billing", "login", "export", "search")
STATES = ("open", "resolved", "waiting")


TOPICS = (
    "The invoice shows the wrong sum after an upgrade",
    "Users cannot sign in with a new password",
    "The weekly report arrives two days late",
    "Results are missing from the second page",
    "The screen stays white on old phones",
)


def record(at: int, **more: object) -> dict[str, object]:
    own = {
        "status": STATES[at % 3],
        "component": AREAS[at % 4],
        "epic": f"EPIC-{500 + at}",
        "assignee": f"worker{at}@firm.org",
        "seats": 100_000 + at,
    }
    return {
        "_id": f"T-{at}",
        "title": "It stops",
        "text": f"It stops in the night, part {at}.",
        **own,
        **more,
    }


def write(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def settings(*lines: str) -> Settings:
    return parse("\n".join(lines))


@pytest.fixture(scope="module", params=["words", "vectors"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    chosen = settings('[models]\nencoder = "none"') if request.param == "words" else None
    with made(tmp_path_factory.mktemp("facts"), chosen) as found:
        yield found


def made(folder: Path, chosen: Settings | None) -> Index:
    tickets = write(folder / "tickets.jsonl", [record(at) for at in range(240)])
    return fingerpost.compile(tickets, to=folder / "kb", settings=chosen)


def right(index: Index) -> float:
    """Of the first five of each question by state and area, how many are of both."""
    asked = [(area, state) for area in AREAS for state in STATES]
    found = [index.search(f"what {state} tickets are there in {area}", k=5) for area, state in asked]
    pairs = [
        (span.metadata["component"], span.metadata["status"]) == wanted
        for wanted, spans in zip(asked, found, strict=True)
        for span in spans
    ]
    assert len(pairs) == 60
    return sum(pairs) / len(pairs)


def test_words_of_the_metadata_bring_the_records_that_hold_them(index: Index) -> None:
    assert right(index) > (0.7 if index._rooms.store.dim else 0.99)
    [span] = index.search("open billing", k=1)
    assert "billing" not in span.text, "metadata is no evidence"
    assert f"component: {span.metadata['component']}" in str(index.explain("open billing", k=1))


def test_without_them_their_words_bring_nothing(tmp_path: Path) -> None:
    with made(tmp_path, settings("[compile]", "metadata = false")) as index:
        assert right(index) < 0.3


@pytest.mark.parametrize("name", ["EPIC-517", "epic-517", "which ticket belongs to EPIC-517?", "100017"])
def test_a_name_in_the_metadata_brings_its_record_first(index: Index, name: str) -> None:
    assert index.search(name)[0].doc_id == "T-17"


def test_all_is_whole(index: Index) -> None:
    assert index.doctor() == []


def test_both_ways_can_be_changed_to(tmp_path: Path) -> None:
    tickets, kb = write(tmp_path / "t.jsonl", [record(at) for at in range(60)]), tmp_path / "kb"
    for way in ("false", "true", "false"):
        chosen = settings("[compile]", f"metadata = {way}")
        with fingerpost.compile(tickets, to=kb, settings=chosen) as index:
            held = [chunk for at in range(60) for chunk in index._rooms.store.desk.chunks_of(f"T-{at}")]
            assert {"epic: EPIC-517" in chunk.passage for chunk in held} == {False, way == "true"}
            assert index.doctor() == []


def test_a_changed_value_is_found_at_once_and_the_old_one_no_more(tmp_path: Path) -> None:
    tickets = write(tmp_path / "t.jsonl", [record(at) for at in range(20)])
    with fingerpost.compile(tickets, to=tmp_path / "kb") as index:
        index.update(
            write(tickets, [record(7, epic="EPIC-9999"), *(record(at) for at in range(20) if at != 7)])
        )
        assert index.search("EPIC-9999")[0].doc_id == "T-7"
        assert all(span.doc_id != "T-7" for span in index.search("EPIC-507") if span.parts.get("exact"))


def test_what_is_masked_or_says_who_may_read_is_in_no_lexical_index(tmp_path: Path) -> None:
    given = [record(at, acl="group-zebra", card=4111111111111111) for at in range(20)]
    with fingerpost.compile(write(tmp_path / "t.jsonl", given), to=tmp_path / "kb") as index:
        store = index._rooms.store
        standing = store.live().keys.tolist()
        indexed = {
            term
            for terms in (*store._state.terms(standing)[0], *store._state.terms(standing)[1])
            for term in terms
        }
    assert {"bill", "epic-507"} <= indexed, "the control"
    assert not {"zebra", "group-zebra", "4111111111111111", "worker7@firm.org", "worker7", "firm"} & indexed
