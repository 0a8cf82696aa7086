"""Rankings of documents: by their best chunk, for evaluation and for answers that name documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fingerpost.index.rooms import Rooms
from fingerpost.index.search import searching
from fingerpost.index.search.found import Keys, Request, Scores
from fingerpost.retrieve import fuse
from fingerpost.store.snapshot import Snapshot

Run = list[tuple[str, float]]
"""Documents and scores, best first."""


def by_document(
    snapshot: Snapshot, keys: Keys, scores: Scores, *, k: int, names: dict[int, str] | None = None
) -> Run:
    """Documents by their best chunk, best first; ``keys`` come best first. ``names`` are the ids known so far
    by document key: what is missing is read and added. A key is never used again, so they stay true.
    """
    docs = snapshot.doc_keys(keys)
    _, first = np.unique(docs, return_index=True)
    first = np.sort(first)[:k]
    chosen, known = docs[first].tolist(), {} if names is None else names
    unknown = [key for key in chosen if key not in known]
    known.update(zip(unknown, (document.doc_id for document in snapshot.about(unknown)), strict=True))
    return [(known[key], score) for key, score in zip(chosen, scores[first].tolist(), strict=True)]


def rankings(
    rooms: Rooms, request: Request, *, k: int, names: dict[int, str] | None = None
) -> Mapping[str, Run]:
    """For evaluation: the ``k`` best documents of each leg, of their plain fusion, and of the search. Who
    asks many questions keeps the ``names`` of documents from one to the next.
    """
    found = searching.find(rooms, replace(request, k=k))
    snapshot, deep = found.snapshot, 3 * k
    known = {} if names is None else names
    lexical = snapshot.lexical(found.asked.query, k=deep, allow=found.allow)
    ranked = {"lexical": by_document(snapshot, *lexical, k=k, names=known)}
    if found.asked.encoded is not None:
        keys, scores, _ = snapshot.dense(found.asked.encoded.vector, k=deep, allow=found.allow)
        ranked["dense"] = by_document(snapshot, keys, scores, k=k, names=known)
    ranked["hybrid"] = reciprocal_ranks(list(ranked.values()), k=k)
    ranked["search"] = by_document(snapshot, found.keys, found.scores, k=k, names=known)
    return ranked


def reciprocal_ranks(runs: Sequence[Run], *, k: int) -> Run:
    """Reciprocal rank fusion of document rankings.

    >>> [doc for doc, _ in reciprocal_ranks([[("a", 9.0), ("b", 5.0)], [("b", 0.7), ("c", 0.6)]], k=2)]
    ['b', 'a']
    """
    total: dict[str, float] = {}
    for run in runs:
        for place, (doc_id, _) in enumerate(run, start=1):
            total[doc_id] = total.get(doc_id, 0.0) + 1.0 / (fuse.RRF_K + place)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:k]
