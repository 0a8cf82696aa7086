"""Questions from a corpus without labels: titles, headings and first sentences, marked as generated.

They tell whether a document can be found by its own words. They are easier than what users ask, so they are
never mixed with real questions and never reported without the mark.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b

from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.records import Document, Pair
from fingerpost.text.counts import counted
from fingerpost.text.spans import sentences
from fingerpost.text.tokens import analyze

KINDS = ("title", "heading", "sentence")
_MAX_CHARS = 300
_TRIM = re.compile(r"^[\s#*=\-–—>.\d)]+|[\s#*=:]+$")


def candidates(document: Document) -> Iterator[Pair]:
    """Every question a document gives: its title, its headings, the first sentence of its text.

    ``origin`` is ``generated:<kind>``. Headings are asked with their title, so that "Installation" says of
    what.

    >>> document = Document("a", "Keys are rotated every month.", title="Key rotation")
    >>> [(pair.origin, pair.query) for pair in candidates(document)]
    [('generated:title', 'Key rotation'), ('generated:sentence', 'Keys are rotated every month.')]
    """
    title = _clean(document.title)
    made = [("title", title)]
    for section in document.sections:
        heading = _clean(section.title)
        if heading and heading.casefold() != title.casefold():
            made.append(("heading", f"{title} {heading}".strip()))
    made.append(("sentence", _first_sentence(document, title)))
    for kind, query in made:
        if len(set(analyze(query))) >= 2 and len(query) <= _MAX_CHARS:
            yield Pair(query, document.doc_id, origin=f"generated:{kind}")


def generate(documents: Iterable[Document], count: int, *, seed: int = 0) -> QuestionSet:
    """At most ``count`` questions, spread evenly over the kinds, the same for the same seed whatever the
    order.

    One pass; memory grows with ``count``. A question that several documents give has all of them as its
    answers.
    """
    kept: dict[str, list[tuple[int, str, Pair]]] = {kind: [] for kind in KINDS}
    room = 2 * count
    seen = 0
    for document in documents:
        seen += 1
        for pair in candidates(document):
            heap = kept[pair.origin.partition(":")[2]]
            item = (-_lot(pair, seed), f"{pair.doc_id}\0{pair.query}", pair)
            if len(heap) < room:
                heapq.heappush(heap, item)
            else:
                heapq.heappushpop(heap, item)
    drawn = {kind: [pair for *_, pair in sorted(heap, reverse=True)] for kind, heap in kept.items()}
    return _question_set(_spread(drawn, count), f"made from {counted(seen, 'document')}")


def from_pairs(pairs: Sequence[Pair], *, name: str = "generated") -> QuestionSet:
    """Questions that others generated (a language model, for one), marked as such."""
    return replace(_question_set(pairs, counted(len(pairs), "generated pair")), name=name)


def _spread(drawn: dict[str, list[Pair]], count: int) -> list[Pair]:
    """Turn about from each kind, questions told apart by their folded text, until there are ``count``."""
    chosen: dict[str, list[Pair]] = {}
    queues = {kind: iter(pairs) for kind, pairs in drawn.items()}
    while queues and len(chosen) < count:
        for kind in list(queues):
            pair = next(queues[kind], None)
            if pair is None:
                del queues[kind]
            elif len(chosen) < count or pair.query.casefold() in chosen:
                chosen.setdefault(pair.query.casefold(), []).append(pair)
    return [pair for pairs in chosen.values() for pair in pairs]


def _question_set(pairs: Sequence[Pair], source: str) -> QuestionSet:
    ids: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for pair in pairs:
        query_id = ids.setdefault(pair.query.casefold(), f"g{len(ids) + 1}")
        queries.setdefault(query_id, pair.query)
        qrels.setdefault(query_id, {})[pair.doc_id] = 1
    kinds = Counter(pair.origin.partition(":")[2] for pair in pairs)
    told = ", ".join(f"{number:,} from {kind}s" for kind, number in sorted(kinds.items()))
    note = f"generated questions, easier than real ones: {told or 'none'}; {source}"
    return QuestionSet("generated", "generated", queries, qrels, generated=True, notes=(note,))


def _first_sentence(document: Document, title: str) -> str:
    for start, end in sentences(document.text[:4_000])[:8]:
        text = _clean(document.text[start:end])
        if len(set(analyze(text))) >= 4 and text.casefold() != title.casefold():
            return text
    return ""


def _clean(text: str) -> str:
    return " ".join(_TRIM.sub("", text).split())


def _lot(pair: Pair, seed: int) -> int:
    drawn = blake2b(
        f"{seed}\0{pair.origin}\0{pair.doc_id}\0{pair.query}".encode(errors="replace"), digest_size=8
    )
    return int.from_bytes(drawn.digest(), "big")
