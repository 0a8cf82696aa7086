"""What a put does with each document: nothing, new labels, or a new version that keeps what it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerpost.records import Chunk, Document
from fingerpost.store import codec
from fingerpost.store.digest import CONTENT_BYTES, digest
from fingerpost.store.ledger import Version
from fingerpost.store.writes import Batch, Writer


@dataclass(frozen=True, slots=True)
class PutResult:
    """What a put did. ``keys`` int64 [n] are the chunks that need vectors, ``passages`` what to encode."""

    seq: int
    added: int
    updated: int
    unchanged: int
    keys: NDArray[np.int64]
    passages: tuple[str, ...]


@dataclass(slots=True)
class Puts:
    """One put call. ``passages`` are the new chunks' texts by key; ``twins`` maps a new chunk to an old one
    with the same passage, whose vector it takes over.
    """

    writer: Writer
    context: bool
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    passages: dict[int, str] = field(default_factory=dict)
    twins: dict[int, int] = field(default_factory=dict)

    def put(self, batch: Batch, document: Document, chunks: Sequence[Chunk]) -> None:
        """Take in one document."""
        old = self.writer.ledger.live(document.doc_id)
        content = codec.content_digest(document, chunks)
        labels = codec.dump_labels(document.labels)
        if old is not None and document.labels is None:
            labels = old.labels  # a change of content never changes who may read it
        if old is not None and old.content == content:
            self._relabel(batch, old, labels)
            return
        known = self._end(batch, old)
        texts = [codec.passage(chunk, context=self.context) for chunk in chunks]
        digests = [digest(text, size=CONTENT_BYTES) for text in texts]
        version = self.writer.add(batch, document, chunks, content=content, labels=labels, passages=digests)
        for key, (text, same) in enumerate(zip(texts, digests, strict=True), start=version.first_chunk):
            self.passages[key] = text
            if same in known:
                self.twins[key] = known[same]

    def _relabel(self, batch: Batch, old: Version, labels: str | None) -> None:
        if labels == old.labels:
            self.unchanged += 1
        else:
            self.writer.relabel(batch, old, labels)
            self.updated += 1

    def _end(self, batch: Batch, old: Version | None) -> dict[bytes, int]:
        if old is None:
            self.added += 1
            return {}
        self.updated += 1
        known = {passage: key for key, passage in self.writer.ledger.passages(old)}
        self.writer.end(batch, old)
        self.writer.drop_written(old.doc_id)
        return known
