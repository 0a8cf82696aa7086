"""The victim: writes to an index, says what it is about to do and what was acknowledged.

Run as ``python worker.py FOLDER SEED [STEPS]``, for ever without STEPS; ``victims.py`` starts many from one
process. Each line is JSON and leaves in one write, before the next step. ``begin`` and ``done`` are about
documents, ``turn`` and ``turned`` about the published generation, whose two artifacts bear the same epoch and
the digest of the rows they were made for.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Thread

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store
from fingerpost.store.generation import read_manifest
from fingerpost.store.points import Points

DIM = 8
PARTS = ("router.bin", "fusion.bin")
EVERYTHING = (50, 18, 10, 8, 5, 9)
"""How often put, delete, fold, promote, rollback and a fold beside writes are chosen."""
PROMOTIONS = (14, 5, 18, 35, 13, 15)
BESIDE = (30, 10, 0, 5, 5, 50)


def document(doc_id: str, version: int) -> tuple[Document, list[Chunk]]:
    """The document that version ``version`` of ``doc_id`` is."""
    pieces = [f"{doc_id} stands\n", f"version v{version} of it\n", f"word{version % 7} more\n"][
        : 1 + version % 3
    ]
    chunks, at = [], 0
    for ordinal, piece in enumerate(pieces):
        chunks.append(Chunk(f"{doc_id}#{ordinal}", doc_id, ordinal, at, at + len(piece), piece))
        at += len(piece)
    return Document(doc_id, "".join(pieces), metadata={"version": version}), chunks


def encode(passages: tuple[str, ...]) -> np.ndarray:
    """A vector that depends on the passage alone."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(DIM) for text in passages]
    return np.array(rows, dtype=np.float32).reshape(-1, DIM)


def say(**line: object) -> None:
    os.write(1, (json.dumps(line) + "\n").encode())


def parts(epoch: int, keys: np.ndarray) -> dict[str, bytes]:
    """The learned parts of one epoch, made for these rows."""
    rows = sha256(keys.astype("<i8").tobytes()).hexdigest()
    return {name: f"{name} {epoch} {rows}".encode() for name in PARTS}


def epoch_in(body: bytes | None) -> int | None:
    return None if body is None else int(body.split()[1])


def fold(store: Store, epoch: int) -> int:
    missing = store.missing_vectors(10_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    with store.folding():
        live = store.live(encoded=True)
        offsets = np.array([0, len(live.keys) // 2, len(live.keys)], dtype=np.int32)
        return store.publish(Layout(live.keys, offsets, live.seq, artifacts=parts(epoch, live.keys)))


def fold_beside(store: Store, choice: random.Random, number: int) -> None:
    """Fold in a thread, and write until it has ended."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            say(turned=fold(store, number))
        except BaseException as error:
            failed.append(error)

    say(turn=number)
    thread = Thread(target=run)
    thread.start()
    for later in range(number + 100_000, number + 900_000, 100_000):
        write(store, dict.fromkeys(some(choice), later if choice.random() < 0.75 else None))
        if not thread.is_alive():
            break
    thread.join()
    if failed:
        raise failed[0]


def some(choice: random.Random) -> list[str]:
    return choice.sample([f"doc{i}" for i in range(12)], choice.randint(1, 4))


def promote(store: Store, epoch: int) -> int:
    return store.republish(parts(epoch, store._state.generation.keys))


def epoch_before(folder: Path) -> int | None:
    """The epoch that a rollback brings back."""
    before = read_manifest(folder / "MANIFEST").history[0]
    path = folder / f"gen-{before:06d}" / "artifacts" / PARTS[0]
    return epoch_in(path.read_bytes()) if path.exists() else None


def write(store: Store, change: Mapping[str, int | None]) -> None:
    """Put or delete documents, in one transaction."""
    puts = {name: version for name, version in change.items() if version is not None}
    say(begin=change)
    if puts:
        result = store.put([document(name, version) for name, version in puts.items()])
        say(done=True)
        store.put_vectors(result.keys, encode(result.passages))
    else:
        store.delete(change)
        say(done=True)


def step(store: Store, choice: random.Random, number: int, mix: Sequence[int] = EVERYTHING) -> None:
    """One random step; ``number`` is its version or epoch."""
    kind = choice.choices(("put", "delete", "fold", "promote", "rollback", "beside"), mix)[0]
    names = some(choice)
    if kind == "beside":
        fold_beside(store, choice, number)
    elif kind in ("put", "delete"):
        write(store, dict.fromkeys(names, number if kind == "put" else None))
    elif kind == "rollback":
        if int(store.status()["generation"]) > 1:
            say(turn=epoch_before(store.path))
            say(turned=store.rollback())
    else:
        say(turn=number)
        say(turned=(fold if kind == "fold" else promote)(store, number))


def opened(folder: Path, points: Points | None = None) -> Store:
    points = points or Points()
    if (folder / "MANIFEST").exists():
        return Store.open(folder, write=True, points=points)
    return Store.create(folder, fingerprint="f", dim=DIM, points=points)


def main(
    folder: Path,
    seed: int,
    steps: int | None = None,
    *,
    mix: Sequence[int] = EVERYTHING,
    points: Points | None = None,
) -> None:
    choice = random.Random(seed)
    store = opened(folder, points)
    say(ready=True)
    number = seed * 1_000_000
    while steps is None or number < seed * 1_000_000 + steps:
        number += 1
        step(store, choice, number, mix)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
