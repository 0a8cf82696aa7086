"""Evidence: the best passage inside a chunk, with offsets into its document.

    chunks best first -> best run of sentences in each -> neighbours of one document merged
        -> near-duplicates dropped -> at most ``per_document`` of one document

Offsets count characters of the document's text; a span's text is ``document.text[start:end]`` because it is
cut out of the chunk's own text, which is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fingerpost.records import Chunk, Span
from fingerpost.text.query import Query
from fingerpost.text.spans import merge, sentences
from fingerpost.text.tokens import analyze, places

MOST_CHARS = 600  # of a span cut out of a longer chunk: what a reader takes in at a glance
DUPLICATE = 0.85  # share of shingles in common from which two spans say the same
SHINGLE = 3
MOST_GAP = 8  # characters of white space between the chunks of neighbouring paragraphs


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk of the ranking with its score and the score's parts."""

    chunk: Chunk
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many spans, of one document at most how many, how long, and the terms' weights (None: alike).

    ``gap`` reads ``(doc_id, start, end)`` of a document: the white space between neighbouring chunks.
    """

    count: int = 10
    per_document: int = 3
    most_chars: int = MOST_CHARS
    idf: Mapping[str, float] | None = None
    gap: Callable[[str, int, int], str] | None = None


def select(query: Query, found: Iterable[Found], wanted: Wanted) -> list[Span]:
    """Spans for chunks given best first; no more of them are asked for than it takes. Merged spans bear the
    best chunk's name, score and parts.
    """
    weights = {term: (wanted.idf or {}).get(term, 1.0) for term in query.terms}
    chosen: list[Span] = []
    seen: list[frozenset[tuple[str, ...]]] = []
    for hit in found:
        start, end = best_run(hit.chunk.text, weights, most_chars=wanted.most_chars)
        span = _span(hit, start, end)
        shingles = _shingles(span.text)
        if _taken_in(chosen, span, wanted):
            seen.append(shingles)  # of what was merged each piece: a copy of one says nothing new either
            continue
        if any(_alike(shingles, other) for other in seen):
            continue
        if sum(other.doc_id == span.doc_id for other in chosen) >= wanted.per_document:
            continue
        chosen.append(span)
        seen.append(shingles)
        if len(chosen) >= wanted.count:
            break
    return [replace(span, highlights=highlights(query, span)) for span in chosen]


def best_run(text: str, weights: Mapping[str, float], *, most_chars: int = MOST_CHARS) -> tuple[int, int]:
    """Offsets of the run of sentences, at most ``most_chars`` long, whose distinct query terms weigh most.

    Of equals the run with the fewest characters a term wins, then the earliest; one sentence longer than
    ``most_chars`` is taken whole. A text that fits is taken whole; without a match its beginning is.

    >>> text = "Keys expire. Rotate the signing key with fp rotate. Nothing else is needed."
    >>> text[slice(*best_run(text, {"rotat": 1.0, "key": 1.0}, most_chars=45))]
    'Rotate the signing key with fp rotate.'
    """
    bare = text.strip()
    if not bare:
        return 0, len(text)
    if len(bare) <= most_chars:
        begin = len(text) - len(text.lstrip())
        return begin, begin + len(bare)
    bounds = sentences(text)
    held = [frozenset(analyze(text[a:b])) & weights.keys() for a, b in bounds]
    best, key = (bounds[0][0], bounds[0][1]), (-1.0, 0.0)
    for first, (start, _) in enumerate(bounds):
        terms: set[str] = set()
        for at in range(first, len(bounds)):
            end = bounds[at][1]
            if at > first and end - start > most_chars:
                break
            terms |= held[at]
            score = sum(weights[term] for term in terms)
            if (score, -(end - start)) > key and (held[at] or at == first):
                best, key = (start, end), (score, -float(end - start))
    return _grown(bounds, best, most_chars)


def highlights(query: Query, span: Span) -> tuple[tuple[int, int], ...]:
    """Offsets in the document of the span's words that the query asks for, sorted and apart."""
    found = places(span.text, set(query.terms))
    return tuple(merge([(a + span.start, b + span.start) for a, b in found]))


def _grown(bounds: Sequence[tuple[int, int]], run: tuple[int, int], most_chars: int) -> tuple[int, int]:
    """The run with whole sentences after and before it while they fit: context helps who reads."""
    start, end = run
    for a, b in bounds:
        if a >= end and b - start <= most_chars:
            end = b
    for a, b in reversed(bounds):
        if b <= start and end - a <= most_chars:
            start = a
    return start, end


def _span(hit: Found, start: int, end: int) -> Span:
    chunk = hit.chunk
    return Span(
        doc_id=chunk.doc_id,
        chunk_id=chunk.chunk_id,
        start=chunk.start + start,
        end=chunk.start + end,
        text=chunk.text[start:end],
        score=hit.score,
        title=chunk.title,
        heading=chunk.heading,
        parts=hit.parts,
    )


def _taken_in(chosen: list[Span], span: Span, wanted: Wanted) -> bool:
    """Whether a chosen span continues or repeats this one: then both become one stretch of the document, and
    so does every chosen span that they have closed up to.
    """
    at, joined = _neighbour(chosen, span, wanted)
    if joined is None:
        return False
    while joined is not None:
        chosen[at] = joined
        other, joined = _neighbour(chosen, joined, wanted, but=at)
        if joined is not None:
            at, last = sorted((at, other))
            joined = _joined(chosen[at], chosen.pop(last), wanted)
    return True


def _neighbour(
    chosen: Sequence[Span], span: Span, wanted: Wanted, *, but: int = -1
) -> tuple[int, Span | None]:
    """The first chosen span, other than the one at ``but``, that this one continues or repeats, and both as
    one stretch of the document.
    """
    for at, other in enumerate(chosen):
        if at == but or other.doc_id != span.doc_id:
            continue
        if (joined := _joined(other, span, wanted)) is not None:
            return at, joined
    return -1, None


def _joined(best: Span, span: Span, wanted: Wanted) -> Span | None:
    """Both as one, named after the better; None where they are apart or would be too long together."""
    first, second = sorted((best, span), key=lambda one: (one.start, one.end))
    if second.end <= first.end:
        return replace(best, start=first.start, end=first.end, text=first.text)
    if second.end - first.start > 2 * wanted.most_chars:
        return None
    between = _between(first, second, wanted)
    if between is None:
        return None
    text = first.text + between + second.text[max(first.end - second.start, 0) :]
    return replace(best, start=first.start, end=second.end, text=text)


def _between(first: Span, second: Span, wanted: Wanted) -> str | None:
    """What stands between two spans: nothing, or white space that ``gap`` can read; None for more."""
    if second.start <= first.end:
        return ""
    if wanted.gap is None or second.start - first.end > MOST_GAP:
        return None
    text = wanted.gap(first.doc_id, first.end, second.start)
    return None if text.strip() else text


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    terms = analyze(text)
    return frozenset(zip(*(terms[at:] for at in range(SHINGLE)), strict=False)) or frozenset([tuple(terms)])


def _alike(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    """Jaccard's share of common shingles."""
    return len(one & other) >= DUPLICATE * len(one | other)
