"""Facts: short metadata of a document as words that a search can find.

    status: open · component: auth · fixVersion: 2.3.1

They stand before each chunk in the indexes, as titles do, and are kept out of the evidence. Left out are
values longer than a line, addresses of pages, truth values, what the title says anyway, who may read, and
what masking would take away. Where not all fit, the shortest are kept.
"""

from __future__ import annotations

import re

from fingerpost.compiler import mask
from fingerpost.compiler.tokens import TokenOffsets
from fingerpost.config import Settings
from fingerpost.records import Document, Value
from fingerpost.text.tokens import fold

MAX_VALUE = 200
"""Characters; a longer value is text, or data."""
MAX_PIECES = 64
"""Word pieces of all, and a quarter of a chunk at most."""
NOT_WORDS = frozenset(("source", "path", "modified", "title"))
"""Where a document came from, which its id says, and what stands before its chunks anyway."""
ACCESS = frozenset(("labels", "acl", "access", "permissions", "principals", "readers", "visibility"))
"""Who may read a document is nobody's search term."""

_WORD = re.compile(r"[^\W_]+")


def facts(document: Document, count: TokenOffsets, settings: Settings) -> str:
    """The line of a document's facts, in the order of its metadata; empty where there is nothing to say.

    >>> from fingerpost.compiler.tokens import Words
    >>> ticket = {"status": "open", "votes": 7, "done": False, "_rev": "x", "acl": "hr"}
    >>> facts(Document("d", "Text", metadata=ticket), Words(), Settings())
    'status: open · votes: 7'
    """
    options = settings.compile
    if not (options.metadata and options.context):
        return ""
    rules = settings.mask.rules if settings.mask.enabled else ()
    title = _letters(document.title)
    said = [
        fact
        for key, value in document.metadata.items()
        if (fact := _fact(key, value))
        and _letters(str(value)) not in title
        and not mask.findings(fact, rules)
    ]
    room = min(MAX_PIECES, options.chunk_tokens // 4)
    kept: set[str] = set()
    for size, fact in sorted((len(count.offsets(fact)) + 1, fact) for fact in said):
        room -= size
        if room < 0:
            break
        kept.add(fact)
    return " · ".join(fact for fact in said if fact in kept)


def _fact(key: str, value: Value) -> str:
    hidden = key.startswith("_") or key.casefold() in NOT_WORDS | ACCESS
    shown = "" if hidden or isinstance(value, bool) else " ".join(str(value).split())
    short = len(shown) <= MAX_VALUE and "://" not in shown
    return f"{key}: {shown}" if short and _WORD.search(shown) else ""


def _letters(text: str) -> str:
    """Its words between blanks, punctuation aside."""
    return f" {' '.join(_WORD.findall(fold(text)))} "
