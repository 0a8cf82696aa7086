"""What passes between the reading process and ours: length-prefixed JSON, never pickle.

A frame is four bytes of length, big-endian, then ASCII JSON. A batch is one frame that lists jobs, then
their payloads, one after the other. Answers are frames ``{"items": [...]}`` and ``{"end": job number}``.
"""

from __future__ import annotations

import json
from typing import IO, Any

from fingerpost.records import Document, Rejection, Section

MAX_FRAME = 1 << 30
Item = Document | Rejection


def pack(message: object) -> bytes:
    """A frame.

    >>> pack({"end": 0})
    b'\\x00\\x00\\x00\\n{"end": 0}'
    """
    body = json.dumps(message).encode("ascii")
    return len(body).to_bytes(4, "big") + body


def receive(stream: IO[bytes]) -> Any:
    """The next frame's message; None at the end of the stream."""
    size = stream.read(4)
    return json.loads(stream.read(int.from_bytes(size, "big"))) if len(size) == 4 else None


def item_to_json(item: Item) -> list[Any]:
    """A record as plain lists, the shortest form that keeps everything."""
    if isinstance(item, Rejection):
        return ["rejection", item.source, item.code, item.reason, item.cure]
    sections = [[s.start, s.end, s.title, s.level, s.kind] for s in item.sections]
    return [
        *("document", item.doc_id, item.text, item.title, dict(item.metadata)),
        *(item.labels, item.media_type, sections, item.source_map, item.flags),
    ]


def item_from_json(row: list[Any]) -> Item:
    """The record again.

    >>> item_from_json(item_to_json(Document("a", "text", labels=()))) == Document("a", "text", labels=())
    True
    """
    if row[0] == "rejection":
        return Rejection(*row[1:])
    _, doc_id, text, title, metadata, labels, media_type, sections, source_map, flags = row
    return Document(
        doc_id=doc_id,
        text=text,
        title=title,
        metadata=metadata,
        labels=None if labels is None else tuple(labels),
        media_type=media_type,
        sections=tuple(Section(*section) for section in sections),
        source_map=tuple((at, source) for at, source in source_map),
        flags=tuple(flags),
    )
