"""The past that is held, copies of the index, and what compaction leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import fingerpost
from fingerpost.compiler import chunk
from fingerpost.errors import CorruptError, LockedError, NotFoundError, UsageError
from fingerpost.index.build import building
from fingerpost.index.epoch import ROUTER
from fingerpost.index.progress import silent
from fingerpost.records import Document

WORDS_ONLY = fingerpost.Settings.model_validate(
    {"models": {"encoder": "none"}, "store": {"unlabelled": "visible"}}
)
WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord"]


def put(index: fingerpost.Index, name: str, text: str, labels: tuple[str, ...] | None = None) -> None:
    document = Document(name, text, labels=labels)
    pieces = chunk.split(document, count=None, settings=WORDS_ONLY)
    building.put(index._rooms, [(document, pieces)], building.Ingested())


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    source = tmp_path / "first.jsonl"
    source.write_text('{"_id": "first", "text": "amber at first"}\n')
    fingerpost.compile(source, to=tmp_path / "kb", settings=WORDS_ONLY).close()
    return tmp_path / "kb"


def state(index: fingerpost.Index) -> dict[str, Any]:
    """Documents, texts by chunk id, and what searches find."""
    snapshot = index._rooms.store.snapshot()
    assert index.status()["documents"] == snapshot.n_documents
    return {
        "chunks": {each.chunk_id: each.text for each in snapshot.chunks(snapshot.keys())},
        "found": {word: [(s.doc_id, s.text) for s in index.search(word, k=50)] for word in WORDS},
    }


def a_history(index: fingerpost.Index, count: int, *, fold_every: int) -> dict[int, dict[str, Any]]:
    """Puts, changes and deletes of a few documents; what stood at each seq."""
    choice, seen = np.random.default_rng(7), {}
    for number in range(1, count + 1):
        name = f"d{choice.integers(6)}"
        if choice.random() < 0.25:
            index._rooms.store.delete([name])
        else:
            put(index, name, f"{' '.join(choice.choice(WORDS, 8))} {number}")
        seen[index._rooms.store.snapshot().seq] = state(index)
        if number % fold_every == 0:
            building.fold(index._rooms, silent)
    return seen


def test_every_seq_that_is_held_is_as_it_was(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        seen = a_history(index, 40, fold_every=12)
        status = index.status()
    since = int(status["held_since_seq"])
    assert since < int(status["folded_seq"]) < int(status["seq"])
    held = [seq for seq in seen if seq >= since]
    assert len(held) > 12
    for seq in held:
        with fingerpost.open(kb, as_of=seq) as past:
            assert state(past) == seen[seq], seq
            assert past.status()["seq"] == seq
    older, newer = sorted(map(int, str(status["held_generations"]).split(", ")))
    with fingerpost.open(kb, as_of=f"gen-{older}") as past:
        assert past.status()["seq"] == past.status()["folded_seq"] == since
        assert state(past) == seen[since]
    with fingerpost.open(kb, as_of=f"gen-{newer}") as past:
        assert past.status()["seq"] == status["folded_seq"]


def test_what_is_not_held_is_refused_by_name(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        a_history(index, 24, fold_every=8)
        head = int(index.status()["seq"])
    for gone in (1, "1", "gen-1"):
        with pytest.raises(NotFoundError, match="held are gen-4, gen-3 and seq") as caught:
            fingerpost.open(kb, as_of=gone)
        assert caught.value.code == "E_NOT_HELD"
    with pytest.raises(UsageError, match="is not written yet"):
        fingerpost.open(kb, as_of=head + 1)
    for nonsense in ("yesterday", "-3", "gen-", True, 1.5):
        with pytest.raises(UsageError, match="neither a seq nor a generation"):
            fingerpost.open(kb, as_of=nonsense)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the past cannot be written"):
        fingerpost.open(kb, as_of=head, write=True)


def test_a_past_is_kept_while_it_is_read_and_let_go_after(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        a_history(index, 8, fold_every=8)
        with fingerpost.open(kb, as_of="gen-1") as past:
            found = past.search("amber")
            assert found
            a_history(index, 8, fold_every=2)
            assert [span.text for span in past.search("amber")] == [span.text for span in found]
        a_history(index, 2, fold_every=2)
        with pytest.raises(NotFoundError) as caught:
            fingerpost.open(kb, as_of="gen-1")
        assert caught.value.code == "E_NOT_HELD"
        assert not (kb / "gen-000001").exists()


def test_router_and_vectors_are_those_of_that_time(own_kb: Path, tmp_path: Path) -> None:
    page = tmp_path / "zebra.md"
    with fingerpost.open(own_kb, write=True) as index:
        first, router = index.status()["generation"], index._rooms.store.desk.artifact(ROUTER)
        page.write_text("# Zebra\n\nTicket QX-4711: the flux capacitor hums.\n")
        index.update(page)
        moment, asked = index.status()["seq"], "QX-4711 flux capacitor"
        before = index.search(asked, k=3)
        assert before[0].doc_id.endswith("zebra.md")
        assert before[0].parts["dense"] != 0.0
        index.delete(before[0].doc_id, next(s.doc_id for s in before if s.doc_id != before[0].doc_id))
        building.fold(index._rooms, silent)
        assert index._rooms.store.desk.artifact(ROUTER) != router
    with fingerpost.open(own_kb, as_of=int(moment)) as past:
        assert past.status()["generation"] == first
        assert past.status()["missing_vectors"] == 0
        assert past._rooms.store.desk.artifact(ROUTER) == router
        assert past.search(asked, k=3) == before


def test_who_lost_a_document_lost_its_past(kb: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        put(index, "secret", "amber plans of old", ("user:anna", "user:bob"))
        put(index, "gone", "amber that was deleted", ("user:anna",))
        moment = index._rooms.store.snapshot().seq
        index.delete("gone")
        index._rooms.store.relabel({"secret": ("user:anna",)})
        put(index, "secret", "amber plans of today", ("user:anna",))

    def sees(*principals: str) -> set[str]:
        with fingerpost.open(kb, as_of=moment) as past:
            return {span.doc_id for span in past.search("amber", principals=principals)}

    assert sees("user:anna") == {"first", "secret", "gone"}
    assert sees("user:bob") == sees() == {"first"}
    with fingerpost.open(kb, write=True) as index:
        index.delete("secret")
        assert sees() == {"first"}, "no document carries labels any more, but these did"


def test_a_snapshot_taken_under_writes_is_whole(kb: Path, tmp_path: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        seen: dict[int, dict[str, Any]] = {}
        writing = Thread(target=lambda: seen.update(a_history(index, 60, fold_every=25)))
        writing.start()
        reports = [index.snapshot(tmp_path / f"copy-{at}") for at in range(3)]
        writing.join()
    for at, report in enumerate(reports):
        with fingerpost.open(tmp_path / f"copy-{at}", write=True) as copy:
            assert copy.doctor() == []
            seq = int(report.counts["seq"])
            assert seq not in seen or state(copy) == seen[seq]
            put(copy, "later", "amber afterwards")
            assert "later" in {span.doc_id for span in copy.search("afterwards")}
    assert not list(tmp_path.glob(".copy*"))


def test_restore_puts_a_snapshot_in_place_or_changes_nothing(kb: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with fingerpost.open(kb, write=True) as index:
        before = state(index)
        index.snapshot(copy)
        put(index, "later", "amber afterwards")
        after = state(index)
        with pytest.raises(LockedError):
            fingerpost.restore(copy, to=kb, replace=True)
        with pytest.raises(UsageError, match="inside the index"):
            index.snapshot(kb / "copy")
        with pytest.raises(UsageError, match="is the index itself"):
            index.snapshot(kb)
    with pytest.raises(NotFoundError, match="is no snapshot") as told:
        fingerpost.restore(tmp_path, to=kb, replace=True)
    assert "`fingerpost snapshot`" in told.value.cure
    with pytest.raises(NotFoundError, match="no snapshot at"):
        fingerpost.restore(tmp_path / "nowhere", to=kb)
    with pytest.raises(UsageError, match="holds something"):
        fingerpost.restore(copy, to=kb)
    for target, code in ((copy, "E_PATH"), (copy / "deeper", "E_PATH"), (tmp_path, "E_EXISTS")):
        with pytest.raises(fingerpost.FingerpostError) as caught:
            fingerpost.restore(copy, to=target, replace=True)
        assert caught.value.code == code
    damaged = Path(shutil.copytree(copy, tmp_path / "damaged"))
    body = bytearray((damaged / "ledger.db").read_bytes())
    body[body.index(b"first.jsonl")] ^= 1
    (damaged / "ledger.db").write_bytes(body)
    with pytest.raises(CorruptError):
        fingerpost.restore(damaged, to=kb, replace=True)
    with fingerpost.open(kb) as index:
        assert state(index) == after
    assert fingerpost.restore(copy, to=kb, replace=True).counts["documents"] == 1
    with fingerpost.open(kb) as index:
        assert state(index) == before
        assert index.doctor() == []
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"kb", "copy", "damaged"}


def test_compaction_leaves_less_than_twice_what_stands(
    kb: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    choice = np.random.default_rng(3)
    texts = {f"d{at}": " ".join(f"{choice.integers(10**9):x}" for _ in range(3_000)) for at in range(60)}
    with fingerpost.open(kb, write=True) as index:
        for _ in range(3):
            for name, text in texts.items():
                put(index, name, text[::-1])
                put(index, name, text)
            building.fold(index._rooms, silent)
        index._rooms.store.delete([name for at, name in enumerate(texts) if at % 10])
        building.fold(index._rooms, silent)
        loose = size(kb)
        index.compact()
        assert index.doctor() == []
        assert index.status()["held_generations"] == str(index.status()["generation"])
        grown = state(index)
        with pytest.raises(NotFoundError):
            index.rollback()
    with fingerpost.compile(tmp_path / "first.jsonl", to=tmp_path / "new", settings=WORDS_ONLY) as new:
        for name in [name for at, name in enumerate(texts) if not at % 10]:
            put(new, name, texts[name])
        building.fold(new._rooms, silent)
        assert state(new)["chunks"] == grown["chunks"]
    live = size(tmp_path / "new")
    record_property("disk / live data", size(kb) / live)
    assert loose > 2 * live, "otherwise there was nothing to give back"
    assert size(kb) <= 2 * live


def size(kb: Path) -> int:
    """Bytes on disk: a file with two names once, the reserve for a full disk not."""
    files = {path.stat().st_ino: path for path in kb.rglob("*") if path.is_file() and path.name != "BALLAST"}
    return sum(path.stat().st_size for path in files.values())


def test_the_verbs(kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fingerpost.cli.app import run

    def told(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        status = run([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return status, out + err

    with fingerpost.open(kb, write=True) as index:
        moment = index.status()["seq"]
        put(index, "later", "amber afterwards")
    assert told("snapshot", tmp_path / "copy", "--at", kb)[0] == 0
    assert "later" in told("search", "amber", "--at", tmp_path / "copy", "--json")[1]
    assert "later" not in told("search", "amber", "--at", kb, "--as-of", moment, "--json")[1]
    status, text = told("search", "amber", "--at", kb, "--as-of", "gen-99")
    assert (status, "E_NOT_HELD" in text) == (4, True)
    assert json.loads(told("status", "--at", kb, "--as-of", moment, "--json")[1])["documents"] == 1
    assert told("compact", "--at", kb)[0] == 0
    assert told("restore", tmp_path / "copy", "--to", kb)[0] == 2
    assert told("restore", tmp_path / "copy", "--to", kb, "--replace")[0] == 0
    assert told("restore", tmp_path / "nothing", "--to", kb)[0] == 4
