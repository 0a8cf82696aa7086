"""Context: what stands before a chunk in the indexes, and never in the evidence."""

from __future__ import annotations

from fingerpost.records import Chunk

MAX_TOKENS = 64


def passage(chunk: Chunk) -> str:
    """What is embedded and indexed: the title, the headings or the code symbols' path, then the text.

    The chunker has already bounded title and headings to ``MAX_TOKENS`` word pieces.

    >>> passage(Chunk("c", "d", 0, 0, 4, "Wait", title="queue.py", heading=("Queue", "get")))
    'queue.py › Queue › get\\nWait'
    """
    return f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text
