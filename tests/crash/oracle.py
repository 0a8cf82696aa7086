"""What an index must hold after a crash, given what its writer said before it died."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from fingerpost.errors import NotFoundError
from fingerpost.store import Store
from fingerpost.store.check import NO_VECTOR
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from worker import PARTS, document, encode, epoch_in

Documents = dict[str, int | None]


@dataclass
class Oracle:
    """What was acknowledged, and what may or may not have happened: documents by version, the epoch of the
    published generation (``epochs`` has the one in flight too) and the least number it may have.
    """

    documents: Documents = field(default_factory=dict)
    flight: Documents = field(default_factory=dict)
    epochs: list[int | None] = field(default_factory=lambda: [None])
    generation: int = 0

    def hear(self, line: Mapping[str, object]) -> None:
        """Follow one line of the writer's."""
        if "begin" in line:
            self.flight = dict(line["begin"])  # type: ignore[call-overload]
        elif "done" in line:
            self.documents |= self.flight
            self.flight = {}
        elif "found" in line:
            self.take(line["found"], line["epoch"], int(line["generation"]))  # type: ignore[arg-type, call-overload]
        elif "turn" in line:
            self.epochs = [self.epochs[-1], line["turn"]]  # type: ignore[list-item]
        elif "turned" in line:
            self.epochs, self.generation = self.epochs[-1:], int(line["turned"])  # type: ignore[call-overload]

    def settle(self, store: Store, *, files: bool = True) -> None:
        """Check every leg, and every record and digest too (``files``); take what was in flight for what it
        turned out to be.
        """
        snapshot = store.snapshot()
        seen = {name: version_of(snapshot, name) for name in {*self.documents, *self.flight}}
        damaged = [each for each in store.check() if not each.problem.endswith(NO_VECTOR)] if files else []
        assert not damaged, damaged
        _check_legs(store, {name: number for name, number in seen.items() if number is not None})
        self.take(seen, epoch_of(store), snapshot.generation)

    def take(self, seen: Documents, epoch: int | None, generation: int) -> None:
        """Compare what was seen – nothing acknowledged is missing – and go on from there."""
        before = {name: self.documents.get(name) for name in seen}
        assert seen in (before, before | self.flight), "an acknowledged write is lost, or half there"
        assert epoch in self.epochs, "neither the old nor the new epoch"
        assert generation >= self.generation, "a published generation is lost"
        self.documents, self.flight = dict(seen), {}
        self.epochs, self.generation = [epoch], generation


def _check_legs(store: Store, standing: Mapping[str, int]) -> None:
    """Exactly these documents stand, whole, and are found by words."""
    snapshot = store.snapshot()
    assert snapshot.n_documents == len(standing)
    chunks = [chunk for name, number in standing.items() for chunk in document(name, number)[1]]
    held = snapshot.chunks(snapshot.keys())
    assert sorted(c.chunk_id for c in held) == sorted(c.chunk_id for c in chunks)
    for name in standing:
        keys, _ = snapshot.lexical(parse(name), k=50)
        expected = {c.chunk_id for c in chunks if c.doc_id == name}  # an id is a word of all its chunks
        assert {c.chunk_id for c in snapshot.chunks(keys)} == expected


def epoch_of(store: Store) -> int | None:
    """The epoch of the learned parts: one for both, and made for the rows beside them."""
    snapshot, generation = store.snapshot(), store._state.generation
    bodies = [snapshot.artifact(name) for name in PARTS]
    found = {epoch_in(body) for body in bodies}
    assert len(found) == 1, f"parts of several epochs: {found}"
    rows = sha256(np.asarray(generation.keys).astype("<i8").tobytes()).hexdigest()
    for body in bodies:
        assert body is None or body.split()[2].decode() == rows, "learned parts beside rows of another fold"
    return found.pop()


def version_of(snapshot: object, name: str) -> int | None:
    """The version of a document that stands, checked to be whole."""
    try:
        found = snapshot.document(name)  # type: ignore[attr-defined]
    except NotFoundError:
        return None
    assert found == document(name, int(found.metadata["version"]))[0]
    return int(found.metadata["version"])


def check_vectors(store: Store) -> None:
    """Every chunk has its own passage's vector after the missing ones are encoded."""
    missing = store.missing_vectors(10_000)
    store.put_vectors([key for key, _ in missing], encode(tuple(text for _, text in missing)))
    snapshot = store.snapshot()
    assert snapshot.n_missing == 0
    keys = snapshot.keys()
    expected = encode(tuple(chunk.text for chunk in snapshot.chunks(keys)))
    np.testing.assert_allclose(snapshot.vectors(keys), expected, atol=2e-3)
    assert store.check() == []
