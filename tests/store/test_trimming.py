"""The log is let go up to a checked checkpoint; both together still give everything derived again."""

from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fingerpost.errors import CorruptError, FingerprintError, NotFoundError
from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store, checkpoint, copies, repair, schema
from fingerpost.store import state as states
from fingerpost.store.past import AsOf
from fingerpost.text.query import parse

DIM = 8
FORMAT_1 = Path(__file__).with_name("format1.zip")
"""An index as format 1 wrote it: three generations, the log kept from seq 1, a tail of two writes."""


def document(name: str, version: int) -> tuple[Document, list[Chunk]]:
    """The document that version ``version`` is, in two chunks, or in none where it is 0."""
    pieces = [f"{name} stands\n", f"version v{version} of it\n"] if version else []
    starts = np.cumsum([0, *map(len, pieces)]).tolist()
    chunks = [
        Chunk(f"{name}#{at}", name, at, starts[at], starts[at + 1], piece) for at, piece in enumerate(pieces)
    ]
    return Document(name, "".join(pieces), metadata={"version": version}), chunks


def encode(passages: tuple[str, ...]) -> np.ndarray:
    rows = [np.random.default_rng(list(text.encode())).standard_normal(DIM) for text in passages]
    return np.array(rows, dtype=np.float32).reshape(-1, DIM)


def put(store: Store, *names: str, version: int) -> None:
    result = store.put([document(name, version) for name in names])
    store.put_vectors(result.keys, encode(result.passages))


def fold(store: Store) -> int:
    missing = store.missing_vectors(1_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    live = store.live()
    offsets = np.array([0, len(live.keys)], dtype=np.int32)
    return store.publish(Layout(live.keys, offsets, live.seq))


def write(store: Store, rounds: range) -> None:
    """Two changes a round, one delete, a document without text, a fold."""
    for number in rounds:
        put(store, f"doc{number % 5}", f"doc{number % 3}", version=number + 1)
        store.delete([f"doc{number % 4}"])
        put(store, "empty", version=0)
        fold(store)


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    """An index whose log was trimmed, with writes after its last fold."""
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        write(store, range(6))
        put(store, "later", version=9)
        store.delete(["doc2"])
    return tmp_path / "kb"


def ask(kb: Path, sql: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(kb / "ledger.db")) as connection:
        found = connection.execute(sql).fetchall()
        connection.commit()
        return found


def began(kb: Path) -> tuple[int, int]:
    """The seq of the checkpoint, and of the log's first row."""
    return ask(kb, "SELECT (SELECT seq FROM checkpoint), (SELECT min(seq) FROM log)")[0]  # type: ignore[return-value]


def found(kb: Path) -> dict[str, object]:
    """Whatever can be asked: ids, texts, vectors and rankings."""
    with Store.open(kb) as store:
        snapshot = store.snapshot()
        assert snapshot.n_missing == 0
        keys = snapshot.keys()
        answers = [snapshot.lexical(parse(text), k=9) for text in ("stands", "doc1 v6", "version")]
        answers += [snapshot.dense(vector, k=9)[:2] for vector in encode(("one", "two"))]
        return {
            "seq": snapshot.seq,
            "documents": snapshot.n_documents,
            "texts": {each.chunk_id: each.text for each in snapshot.chunks(keys)},
            "vectors": snapshot.vectors(keys).tolist(),
            "found": [[each.tolist() for each in answer] for answer in answers],
        }


def made_again(kb: Path) -> dict[str, object]:
    """What is found after everything derived was forgotten, and encoded and folded again."""
    repair.reset(kb)
    with Store.open(kb, write=True) as store:
        fold(store)
        assert store.check() == []
    return found(kb)


def test_the_log_begins_at_the_oldest_generation_that_is_held(kb: Path) -> None:
    with Store.open(kb) as store:
        since, head = store.status()["held_since_seq"], store.status()["seq"]
        assert store.check() == []
    assert began(kb) == (since, int(since) + 1)
    assert ask(kb, "SELECT count(*) FROM log")[0][0] == int(head) - int(since) < 8
    with pytest.raises(NotFoundError, match="held are gen-6, gen-5 and seq") as caught:
        Store.open(kb, as_of=AsOf(int(since) - 1))
    assert caught.value.code == "E_NOT_HELD"
    for seq in range(int(since), int(head) + 1):
        Store.open(kb, as_of=AsOf(seq)).close()


def test_compaction_lets_the_whole_log_go(kb: Path) -> None:
    with Store.open(kb, write=True) as store:
        fold(store)
        store.forget()
        head = store.snapshot().seq
    assert began(kb) == (head, None)
    before = found(kb)
    assert made_again(kb) == before
    with Store.open(kb, write=True) as store:
        put(store, "doc9", version=3)
        assert store.snapshot().n_documents == before["documents"] + 1  # type: ignore[operator]


def test_what_is_derived_is_made_again_from_checkpoint_and_log(kb: Path, tmp_path: Path) -> None:
    with Store.open(kb, write=True) as store:
        fold(store)
    before = found(kb)
    copies.take(kb, tmp_path / "copy")
    (kb / "MANIFEST").unlink()
    for each in (kb, tmp_path / "copy"):
        assert made_again(each) == before
        with Store.open(each, write=True) as store:
            write(store, range(6, 9))
            assert store.check() == []
    new = tmp_path / "new"
    with Store.create(new, fingerprint="f", dim=DIM) as store:
        with Store.open(kb) as grown:
            names = {chunk.doc_id for chunk in grown.snapshot().chunks(grown.snapshot().keys())} | {"empty"}
            documents = [grown.snapshot().document(name) for name in sorted(names)]
        for each in documents:
            put(store, each.doc_id, version=int(each.metadata["version"]))
        fold(store)
    kept, made = found(kb), found(new)
    assert kept["documents"] == made["documents"]
    assert kept["texts"] == made["texts"]


def test_a_view_keeps_the_log_that_it_began_with(kb: Path) -> None:
    with Store.open(kb, write=True) as store, Store.open(kb) as reader:
        view = reader.snapshot()
        folded = int(reader.status()["folded_seq"])
        write(store, range(6, 10))
        assert began(kb)[0] == folded
        assert len(view.chunks(view.keys())) == view.n_chunks
        del view
        reader.snapshot()
        write(store, range(10, 11))
        assert began(kb)[0] > folded


@pytest.mark.parametrize("where", ["read_manifest", "Generation"])
def test_a_reader_that_opens_while_folds_pass_by_looks_again(
    kb: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What it is about to read is folded away after MANIFEST was read, or after the files were opened where
    the system cannot say that they are read.
    """
    with Store.open(kb, write=True) as store:
        todo = [range(6, 9)]

        def slow(*given: object, **named: object) -> object:
            found = original(*given, **named)  # type: ignore[operator]
            if todo:
                write(store, todo.pop())
            return found

        original = getattr(states, where)
        monkeypatch.setattr("fingerpost.store.folds.pinned", lambda root, numbers: set())
        monkeypatch.setattr(states, where, slow)
        with Store.open(kb) as reader:
            assert not todo
            assert reader.snapshot().seq == store.snapshot().seq


DAMAGE = {
    "checkpoint of another digest": "UPDATE checkpoint SET documents = documents + 1",
    "no checkpoint": "DELETE FROM checkpoint",
    "a row of the log too many let go": "DELETE FROM log WHERE seq = (SELECT min(seq) FROM log)",
    "a row lost in the middle": "DELETE FROM log WHERE seq = (SELECT min(seq) + 1 FROM log)",
    "a row changed": "UPDATE log SET went = x'' WHERE seq = (SELECT min(seq) + 1 FROM log)",
}


@pytest.mark.parametrize("sql", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_and_neither_folded_nor_repaired_away(kb: Path, sql: str) -> None:
    before, manifest = found(kb), (kb / "MANIFEST").read_bytes()
    ask(kb, sql)
    with Store.open(kb) as store:
        assert [each.file for each in store.check()] == ["ledger.db"]
    assert found(kb) == before, "no answer needs what was damaged"
    rows = ask(kb, "SELECT seq FROM log")
    with pytest.raises(CorruptError):
        repair.reset(kb)
    assert (kb / "MANIFEST").read_bytes() == manifest
    with Store.open(kb, write=True) as store, pytest.raises(CorruptError, match=r"ledger\.db"):
        write(store, range(6, 8))
    assert set(rows) <= set(ask(kb, "SELECT seq FROM log")), "nothing more was let go"


@pytest.mark.parametrize("lost", ["DELETE FROM documents WHERE doc_id = 'empty' AND valid_to IS NULL", ""])
def test_a_checkpoint_of_another_state_is_noticed(kb: Path, lost: str) -> None:
    """Every digest of its own is right: an account of something else, or a document less than it says."""
    with closing(sqlite3.connect(kb / "ledger.db")) as connection:
        if lost:
            connection.execute(lost)
        else:
            row = connection.execute("SELECT seq, documents, chunks, chain FROM checkpoint").fetchone()
            checkpoint.write(connection, checkpoint.Checkpoint(*row[:3], bytes(16), row[3]))
        connection.commit()
    with Store.open(kb) as store:
        assert [each.file for each in store.check()] == ["ledger.db"]
    with pytest.raises(CorruptError):
        repair.reset(kb)


def test_a_manifest_from_before_the_checkpoint_is_refused(kb: Path) -> None:
    old = (kb / "MANIFEST").read_bytes()
    folder = kb.with_name("old")
    with Store.open(kb, write=True) as store:
        (kb / "gen-000006").rename(folder)
        folder.rename(kb / "gen-000006")
        write(store, range(6, 8))
    before = found(kb)
    (kb / "MANIFEST").write_bytes(old)
    with pytest.raises(CorruptError):
        Store.open(kb)
    assert made_again(kb)["texts"] == before["texts"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(FORMAT_1) as archive:
        archive.extractall(tmp_path / "old")
    return tmp_path / "old"


def test_an_index_of_format_1_opens_and_is_trimmed_at_its_next_fold(old: Path) -> None:
    body = (old / "ledger.db").read_bytes()
    assert ask(old, "PRAGMA user_version") == [(1,)]
    with Store.open(old) as reader:
        snapshot = reader.snapshot()
        assert (snapshot.seq, snapshot.n_documents, snapshot.n_chunks) == (7, 5, 10)
        versions = {
            name: snapshot.document(name).metadata["version"]
            for name in ("doc0", "doc1", "doc2", "doc4", "doc6")
        }
        assert versions == {"doc0": 4, "doc1": 2, "doc2": 2, "doc4": 3, "doc6": 3}
        assert reader.check() == []
    assert (old / "ledger.db").read_bytes() == body, "reading changes nothing"
    with Store.open(old, as_of=AsOf(3)) as past:
        assert past.snapshot().n_documents == 5
    before = found(old)
    with Store.open(old, write=True) as store, Store.open(old) as reader:
        put(store, "new", version=2)
        fold(store)
        assert store.check() == reader.check() == []
        store.delete(["new"])
    assert ask(old, "PRAGMA user_version") == [(schema.FORMAT,)]
    assert began(old) == (5, 6)
    after = found(old)
    assert (after["documents"], after["texts"]) == (before["documents"], before["texts"])
    assert made_again(old)["texts"] == before["texts"]


def test_an_index_of_format_1_is_repaired_before_it_was_trimmed(old: Path) -> None:
    before = found(old)
    assert made_again(old)["texts"] == before["texts"]
    assert ask(old, "PRAGMA user_version") == [(1,)]
    with Store.open(old, write=True) as store:
        write(store, range(2))
        assert store.check() == []
    assert began(old)[0] > 0


def test_a_log_of_format_1_that_is_not_whole_is_not_trimmed(old: Path) -> None:
    ask(old, "DELETE FROM log WHERE seq = 2")
    with Store.open(old, write=True) as store, pytest.raises(CorruptError, match="log 2 is damaged"):
        fold(store)
    assert ask(old, "PRAGMA user_version") == [(1,)]
    assert ask(old, "SELECT min(seq) FROM log") == [(1,)]


@pytest.mark.parametrize(("version", "error"), [(schema.FORMAT + 1, FingerprintError), (0, CorruptError)])
def test_other_formats_are_refused(kb: Path, version: int, error: type[Exception]) -> None:
    ask(kb, f"PRAGMA user_version = {version}")
    with pytest.raises(error):
        Store.open(kb)
