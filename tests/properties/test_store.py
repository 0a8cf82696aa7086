"""Any history of puts, deletes, folds, rollbacks and reopenings equals a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fingerpost.records import Chunk, Document, Section
from fingerpost.store import Layout, Store
from fingerpost.text.query import Query

DIM = 4
NAMES = st.sampled_from(["a", "b", "ü/文.md", "'; DROP TABLE documents; --", "MANIFEST"])
WORDS = st.lists(st.sampled_from(["red", "green", "blue", "E4012", "日本"]), min_size=0, max_size=40)
LABELS = st.sampled_from([None, (), ("ops",), ("dev", "ops")])
VALUES = st.one_of(st.text(max_size=5), st.integers(-(2**40), 2**40), st.booleans(), st.floats(-1e6, 1e6))
METADATA = st.dictionaries(st.text("abc.é", min_size=1, max_size=3), VALUES, max_size=2)


def cut(doc_id: str, words: list[str], **fields: object) -> tuple[Document, list[Chunk]]:
    """A document of one chunk for every ten words."""
    chunks, text = [], ""
    for ordinal in range(0, len(words), 10):
        piece = " ".join(words[ordinal : ordinal + 10]) + "\n"
        start = len(text)
        text += piece
        place = f"{doc_id}#{ordinal // 10}"
        chunks.append(Chunk(place, doc_id, ordinal // 10, start, len(text), piece, "Title", ("One", "Two")))
    sections = (Section(0, len(text), "One", 1),)
    return Document(doc_id, text, "Title", sections=sections, **fields), chunks  # type: ignore[arg-type]


class Histories(RuleBasedStateMachine):
    """The store beside its model: doc_id → (document, chunks)."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.model: dict[str, tuple[Document, list[Chunk]]] = {}
        self.store = Store.create(self.root / "kb", fingerprint="f", dim=DIM)
        self.folds, self.labelled = 0, False

    @rule(doc_id=NAMES, words=WORDS, labels=LABELS, metadata=METADATA)
    def put(self, doc_id: str, words: list[str], labels: object, metadata: object) -> None:
        document, chunks = cut(doc_id, words, labels=labels, metadata=metadata)
        old = self.model.get(doc_id)
        if old is not None and labels is None:
            labels = old[0].labels
        result = self.store.put([(document, chunks)])
        kept, _ = cut(doc_id, words, labels=labels, metadata=metadata)
        same = old is not None and (old[0], old[1]) == (kept, chunks)
        assert result.unchanged == same
        self.model[doc_id] = (kept, chunks)
        self.labelled |= labels is not None
        self.store.put_vectors(result.keys, np.ones((len(result.keys), DIM)))

    @rule(doc_id=NAMES)
    def delete(self, doc_id: str) -> None:
        assert self.store.delete([doc_id]) == (doc_id in self.model)
        self.model.pop(doc_id, None)

    @rule(doc_id=NAMES, labels=LABELS)
    def relabel(self, doc_id: str, labels: tuple[str, ...] | None) -> None:
        self.store.relabel({doc_id: labels})
        if doc_id in self.model:
            self.labelled |= labels is not None
            document, chunks = self.model[doc_id]
            fields = {"labels": labels, "metadata": document.metadata, "sections": document.sections}
            self.model[doc_id] = (Document(doc_id, document.text, "Title", **fields), chunks)  # type: ignore[arg-type]

    @rule(leaves=st.integers(1, 4))
    def fold(self, leaves: int) -> None:
        live = self.store.live()
        offsets = np.linspace(0, len(live.keys), leaves + 1).astype(np.int32)
        self.store.publish(Layout(live.keys[::-1], offsets, live.seq))
        self.folds += 1

    @precondition(lambda self: self.folds > 1)
    @rule()
    def rollback(self) -> None:
        self.store.rollback()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.root / "kb", write=True)

    @invariant()
    def equals_the_model(self) -> None:
        snapshot = self.store.snapshot()
        held = sorted(snapshot.chunks(snapshot.keys()), key=lambda chunk: (chunk.doc_id, chunk.ordinal))
        expected = [chunk for _, (_, chunks) in sorted(self.model.items()) for chunk in chunks]
        assert held == expected
        assert (snapshot.n_chunks, snapshot.n_documents) == (len(expected), len(self.model))
        for doc_id, (document, _) in self.model.items():
            assert snapshot.document(doc_id) == document
        assert snapshot.n_missing == 0
        found = snapshot.dense(np.ones(DIM, dtype=np.float32), k=100)[0]
        assert sorted(found.tolist()) == sorted(snapshot.keys().tolist())
        self._visible(("ops",))
        self._visible(())

    def _visible(self, principals: tuple[str, ...]) -> None:
        snapshot = self.store.snapshot()
        allow = snapshot.allow(None, principals)
        keys, _ = snapshot.lexical(Query("red", ("red",), ()), k=100, allow=allow)
        seen = {chunk.chunk_id for chunk in snapshot.chunks(keys)}
        assert seen == {
            chunk.chunk_id
            for document, chunks in self.model.values()
            for chunk in chunks
            if "red" in chunk.text and self._may_read(document, principals)
        }

    def _may_read(self, document: Document, principals: tuple[str, ...]) -> bool:
        if document.labels is None:
            return not self.labelled
        return bool(set(document.labels) & set(principals))

    def teardown(self) -> None:
        assert self.store.check() == []
        self.store.close()
        shutil.rmtree(self.root)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=12, stateful_step_count=20)
