"""From ranked chunks to spans of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from fingerpost.config import Settings
from fingerpost.index.search.found import Found, Keys
from fingerpost.records import Span, Value
from fingerpost.rerank import spans as selecting

SPARE = 3
"""Chunks looked at, at most, for each span wanted: some merge, some repeat another, some exceed a document's
share. They are read as they are needed.
"""


def spans_of(found: Found, *, k: int, settings: Settings) -> list[Span]:
    """The first ``k`` spans, at most ``rerank.per_document`` of one document, each with its metadata."""
    wanted = selecting.Wanted(
        count=k,
        per_document=settings.rerank.per_document,
        idf=found.ranked.read.idf,
        gap=lambda doc_id, start, end: found.snapshot.text(doc_id, start, end, allow=found.allow),
    )
    place: dict[tuple[str, str], int] = {}
    spans = selecting.select(found.asked.query, _ranked(found, k, place), wanted)
    places = [place[span.doc_id, span.chunk_id] for span in spans]
    metadata = _metadata(found, found.keys[places])
    generation = found.snapshot.generation
    return [
        replace(span, parts=parts, metadata=metadata.get(span.doc_id, {}), generation=generation)
        for span, parts in zip(spans, found.parts(places), strict=True)
    ]


def _ranked(found: Found, k: int, place: dict[tuple[str, str], int]) -> Iterator[selecting.Found]:
    """Chunks best first, read ``k`` at a time; ``place`` learns where in the ranking each one stands."""
    keys, scores = found.keys[: SPARE * k], found.scores
    for first in range(0, len(keys), k):
        for at, chunk in enumerate(found.chunks(keys[first : first + k]), start=first):
            place[chunk.doc_id, chunk.chunk_id] = at
            yield selecting.Found(chunk, float(scores[at]), {})


def _metadata(found: Found, keys: Keys) -> Mapping[str, Mapping[str, Value]]:
    docs = dict.fromkeys(found.snapshot.doc_keys(keys).tolist())
    return {each.doc_id: each.metadata for each in found.snapshot.about(docs)}
