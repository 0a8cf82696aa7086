"""From ranked chunks to spans of evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fingerpost.config import Settings
from fingerpost.index.searching import Found, Keys
from fingerpost.records import Span, Value
from fingerpost.rerank import spans as selecting

SPARE = 3
"""Chunks looked at for each span wanted: some merge, some repeat another, some exceed a document's share."""


def spans_of(found: Found, *, k: int, settings: Settings) -> list[Span]:
    """The first ``k`` spans, at most ``rerank.per_document`` of one document, each with its metadata."""
    keys = found.keys[: SPARE * k]
    chunks = found.chunks(keys)
    ranked = [
        selecting.Found(chunk, float(score), {}) for chunk, score in zip(chunks, found.scores, strict=False)
    ]
    wanted = selecting.Wanted(
        count=k,
        per_document=settings.rerank.per_document,
        idf=found.ranked.read.idf,
        gap=lambda doc_id, start, end: found.snapshot.text(doc_id, start, end, allow=found.allow),
    )
    spans = selecting.select(found.asked.query, ranked, wanted)
    metadata = _metadata(found, {span.doc_id for span in spans}, keys)
    generation = found.snapshot.generation
    place = {(chunk.doc_id, chunk.chunk_id): at for at, chunk in enumerate(chunks)}
    return [
        replace(
            span,
            parts=found.parts(place[span.doc_id, span.chunk_id]),
            metadata=metadata.get(span.doc_id, {}),
            generation=generation,
        )
        for span in spans
    ]


def _metadata(found: Found, doc_ids: set[str], keys: Keys) -> Mapping[str, Mapping[str, Value]]:
    docs = dict.fromkeys(found.snapshot.doc_keys(keys).tolist())
    return {each.doc_id: each.metadata for each in found.snapshot.about(docs) if each.doc_id in doc_ids}
