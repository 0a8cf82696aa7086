"""Run inside a mount namespace of its own: what a store does on a full disk, or on a read-only one.

``python full_disk.py full FOLDER SEEDS [GUARD]`` fills a small tmpfs for each seed, with a guard taken out or
not; ``… opened FOLDER`` opens an index on a full one, ``… read-only FOLDER`` is for a read-only mount that
holds an index. Ends with status 0 when everything was as promised.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np

from fingerpost.errors import DiskError
from fingerpost.store import Layout, Store, ballast, copies, disk
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from worker import DIM, document, encode


def put(store: Store, number: int) -> None:
    document_, chunks = document(f"doc{number}", number)
    padded = type(document_)(document_.doc_id, document_.text, metadata={"pad": os.urandom(8_000).hex()})
    result = store.put([(padded, chunks)])
    store.put_vectors(result.keys, encode(result.passages))


def fold(store: Store) -> None:
    missing = store.missing_vectors(10_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    live = store.live()
    store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))


def full(folder: Path, seed: int) -> None:
    """Fill the disk with documents and folds, from a different filling each time."""
    choice = random.Random(seed)
    store = Store.create(folder / "kb", fingerprint="f", dim=DIM)
    filler = folder / "filler"
    filler.write_bytes(os.urandom(choice.randrange(700_000, 2_000_000)))
    acknowledged, refused = set(), 0
    for number in range(1_000):
        try:
            put(store, number) if number % 20 or not number else fold(store)
            acknowledged.update([f"doc{number}"] if number % 20 or not number else [])
        except DiskError:
            refused += 1
            if refused > 3:
                break
    assert refused > 3, "the disk never filled"
    check(store, acknowledged)
    gone = set(sorted(acknowledged)[:3])
    assert store.delete(gone) == 3
    check(store, acknowledged - gone)
    filler.unlink()
    for number in (0, 5_000, 5_001):  # writes resume alone
        put(store, number)
    fold(store)
    check(store, acknowledged - gone | {"doc0", "doc5000", "doc5001"})
    store.close()
    with Store.open(folder / "kb", write=True) as again:
        assert again.check() == []
        check(again, acknowledged - gone | {"doc0", "doc5000", "doc5001"})


def fill(path: Path) -> None:
    """Leave no byte of the disk."""
    with path.open("ab", buffering=0) as filler:
        for size in (100_000, 4_096, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


def opened(folder: Path) -> None:
    """An index is opened where no byte is left: to read, to delete, to read again."""
    with Store.create(folder / "kb", fingerprint="f", dim=DIM) as store:
        for number in range(5):
            put(store, number)
        fold(store)
        put(store, 5)
    everything = {f"doc{number}" for number in range(6)}
    fill(folder / "filler")
    with Store.open(folder / "kb") as reader, Store.open(folder / "kb") as other:
        check(reader, everything)
        check(other, everything)
        with Store.open(folder / "kb", write=True) as store:
            try:
                put(store, 6)
                raise AssertionError("the disk was not full")
            except DiskError:
                pass
            assert store.delete(["doc2"]) == 1
            check(store, everything - {"doc2"})
        check(reader, everything - {"doc2"})
    with Store.open(folder / "kb") as reader:
        check(reader, everything - {"doc2"})
    fill(folder / "filler")
    try:
        copies.take(folder / "kb", folder / "copy")
        raise AssertionError("the disk was not full")
    except DiskError:
        assert sorted(path.name for path in folder.iterdir()) == ["filler", "kb"]
    (folder / "filler").unlink()
    with Store.open(folder / "kb", write=True) as store:
        put(store, 6)
        fold(store)
        assert store.check() == []
        check(store, everything - {"doc2"} | {"doc6"})


def check(store: Store, expected: set[str]) -> None:
    snapshot = store.snapshot()
    found = {chunk.doc_id for chunk in snapshot.chunks(snapshot.keys())}
    assert expected <= found <= expected | {f"doc{n}" for n in range(1_000)}, expected ^ found
    assert len(found - expected) <= 4, "only writes in flight may be there or not"
    keys, _ = snapshot.lexical(parse("stands"), k=5_000)
    assert {chunk.doc_id for chunk in snapshot.chunks(keys)} == found


def read_only(folder: Path) -> None:
    with Store.open(folder / "kb") as store:
        snapshot = store.snapshot()
        assert snapshot.n_documents == 5
        assert len(snapshot.lexical(parse("stands"), k=9)[0]) == 5
        assert len(snapshot.dense(np.ones(DIM, dtype=np.float32), k=3)[0]) == 3
    try:
        Store.open(folder / "kb", write=True)
    except DiskError:
        return
    raise AssertionError("a read-only folder was opened for writing")


def no_ballast() -> None:
    """Nothing is kept back for deletes."""
    ballast.take_on = lambda root: None


def errors_not_named() -> None:
    """What the system and SQLite say goes through as it is, and nobody takes it for a full disk."""
    disk._of_system = disk._of_sqlite = lambda error, path: error


GUARDS = {each.__name__: each for each in (no_ballast, errors_not_named)}


def on_small_disks(folder: Path, seeds: range, guard: str = "") -> None:
    """One tmpfs and one process after the other."""
    if guard:
        GUARDS[guard]()
    for seed in seeds:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(folder)], check=True)
        child = os.fork()
        if not child:
            try:
                full(folder, seed)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"seed {seed}")
        subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "full":
        first, past = map(int, sys.argv[3].split("-"))
        on_small_disks(Path(sys.argv[2]), range(first, past), *sys.argv[4:])
    elif sys.argv[1] == "opened":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", sys.argv[2]], check=True)
        opened(Path(sys.argv[2]))
    else:
        read_only(Path(sys.argv[2]))
