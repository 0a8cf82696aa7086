"""A view keeps what it reads, in this process and in others, for as long as it is held and no longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Snapshot, Store
from fingerpost.text.query import parse

READER = """
import sys
from fingerpost.store import Store
from fingerpost.text.query import parse
with Store.open(sys.argv[1]) as store:
    snapshot = store.snapshot()
    print(snapshot.generation, flush=True)
    sys.stdin.readline()
    keys, _ = snapshot.lexical(parse("stands"), k=9)
    bodies = [bytes(code) for code in snapshot.token_codes(snapshot.keys())]
    texts = [chunk.text for chunk in snapshot.chunks(sorted(keys.tolist()))]
    print(texts, snapshot.artifact("epoch"), bodies)
"""


def put(store: Store, name: str, text: str) -> None:
    result = store.put([(Document(name, text), [Chunk(f"{name}#0", name, 0, 0, len(text), text)])])
    store.put_vectors(result.keys, np.ones((len(result.keys), 4)), [b"t%d" % key for key in result.keys])


def fold(store: Store, epoch: bytes) -> None:
    live = store.live()
    offsets = np.array([0, len(live.keys)], dtype=np.int32)
    store.publish(Layout(live.keys, offsets, live.seq, artifacts={"epoch": epoch}))


def looked(snapshot: Snapshot) -> str:
    keys, _ = snapshot.lexical(parse("stands"), k=9)
    bodies = [bytes(code) for code in snapshot.token_codes(snapshot.keys())]
    texts = [chunk.text for chunk in snapshot.chunks(sorted(keys.tolist()))]
    return f"{texts} {snapshot.artifact('epoch')!r} {bodies}"


def replace_all(store: Store, number: int) -> None:
    """Nothing that stood before stands after, and the fold forgets its text."""
    put(store, "one", f"one stands as {number}")
    put(store, "two", f"two stands as {number}")
    fold(store, b"epoch %d" % number)


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("gen-*"))


def test_a_view_in_another_process_outlives_four_folds(tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    with Store.create(kb, fingerprint="f", dim=4) as store:
        replace_all(store, 1)
        expected = looked(store.snapshot())
        command = [sys.executable, "-c", READER, str(kb)]
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        for number in range(2, 6):
            replace_all(store, number)
        assert folders(kb) == ["gen-000001", "gen-000004", "gen-000005"]
        assert reader.communicate("\n")[0].strip() == expected
        replace_all(store, 6)
        assert folders(kb) == ["gen-000005", "gen-000006"]
        ended = store._ledger.rows("SELECT count(*) FROM documents WHERE valid_to <= ?", (5,))
        assert ended == [(0,)], "the text that only the view kept is gone"
        assert store.check() == []


def test_a_view_of_the_index_before_its_first_fold_is_kept_too(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="f", dim=0) as store:
        store.put([(Document("one", "one stands"), [Chunk("one#0", "one", 0, 0, 10, "one stands")])])
        with Store.open(tmp_path / "kb") as reader:
            view = reader.snapshot()
            for number in range(3):
                text = f"one is {number}"
                store.put([(Document("one", text), [Chunk("one#0", "one", 0, 0, len(text), text)])])
                live = store.live()
                store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
            keys, _ = view.lexical(parse("stands"), k=9)
            assert [chunk.text for chunk in view.chunks(keys)] == ["one stands"]


def test_a_writer_that_opens_keeps_what_others_read(tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    with Store.create(kb, fingerprint="f", dim=4) as store:
        replace_all(store, 1)
    with Store.open(kb) as reader:
        view = reader.snapshot()
        expected = looked(view)
        for number in range(2, 5):
            with Store.open(kb, write=True) as store:
                replace_all(store, number)
        assert looked(view) == expected
