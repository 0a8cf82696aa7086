"""Questions that are documents of the index themselves, as in ArguAna and Quora.

Such a question finds itself first, and that is never the answer: neither a measure nor a lesson counts its
own document among what was found. A question is known as one by its id and its text, where it is read; a
pair that is kept has no id, only the origin that says so, and its document is found by the text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from unicodedata import normalize

from fingerpost.errors import NotFoundError
from fingerpost.records import Document
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.counts import noted
from fingerpost.text.query import Query

NOBODY = -1
"""The key of no document."""
NEAREST = 10
"""Chunks of BM25 among which a document is looked for that is the question, word by word."""


def named(
    snapshot: Snapshot, queries: Mapping[str, str], judged: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """The ids of the ``queries`` (text by id) that are a document themselves which is not ``judged`` for
    them, with that document's id.
    """
    found = {}
    for query_id, text in queries.items():
        if query_id not in judged[query_id]:
            with suppress(NotFoundError):
                document = snapshot.document(normalize("NFC", query_id))
                if _says(document, text):
                    found[query_id] = document.doc_id
    return found


def document_of(snapshot: Snapshot, query: Query, answers: Collection[int]) -> int:
    """The key of the document that is this question, and none of its ``answers``; ``NOBODY`` where it stands
    no more.
    """
    hits = snapshot.lexical(query, k=NEAREST)[0]
    keys: list[int] = list(dict.fromkeys(snapshot.doc_keys(hits).tolist()))
    for key, document in zip(keys, snapshot.documents(keys), strict=True):
        if key not in answers and _says(document, query.text):
            return key
    return NOBODY


def told(count: int) -> tuple[str, ...]:
    """A note on that many questions."""
    why = "(same id, same text) and no result"
    one = f"of the questions is a document itself {why}"
    return noted(count, one, f"of the questions are documents themselves {why}s")


def _says(document: Document, text: str) -> bool:
    return _letters(text) in (_letters(document.text), _letters(document.title + document.text))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, normalize("NFC", text).casefold()))
