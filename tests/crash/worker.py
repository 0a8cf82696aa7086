"""The victim: writes to an index for ever, says what it is about to do and what was acknowledged.

Run as ``python worker.py FOLDER SEED``. Each line is JSON and leaves in one write, before the next step.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store

DIM = 8


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


def fold(store: Store) -> None:
    missing = store.missing_vectors(10_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    live = store.live()
    offsets = np.array([0, len(live.keys) // 2, len(live.keys)], dtype=np.int32)
    store.publish(Layout(live.keys, offsets, live.seq))


def step(store: Store, choice: random.Random, number: int) -> None:
    kind = choice.choices(("put", "delete", "fold", "rollback"), (60, 20, 15, 5))[0]
    names = choice.sample([f"doc{i}" for i in range(12)], choice.randint(1, 4))
    if kind == "put":
        say(begin=dict.fromkeys(names, number))
        result = store.put([document(name, number) for name in names])
        say(done=True)
        store.put_vectors(result.keys, encode(result.passages))
    elif kind == "delete":
        say(begin=dict.fromkeys(names))
        store.delete(names)
        say(done=True)
    elif kind == "fold":
        fold(store)
    elif store.status()["generation"] > 1:
        store.rollback()


def main(folder: Path, seed: int) -> None:
    choice = random.Random(seed)
    if (folder / "MANIFEST").exists():
        store = Store.open(folder, write=True)
    else:
        store = Store.create(folder, fingerprint="f", dim=DIM)
    say(ready=True)
    number = seed * 1_000_000
    while True:
        number += 1
        step(store, choice, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
