"""Records as rows: how documents, chunks and passages are written down, and their content digests."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from fingerpost.errors import InputError
from fingerpost.records import Chunk, Document, Section, Value
from fingerpost.store.digest import CONTENT_BYTES, digest
from fingerpost.store.schema import PAGE_CHARS
from fingerpost.text import labels as label_names

Labels = tuple[str, ...] | None
MAX_ID_BYTES = 512
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def passage(chunk: Chunk, *, context: bool = True) -> str:
    """What is embedded and lexically indexed for a chunk: its context, a line break, its text.

    >>> passage(Chunk("c", "d", 0, 0, 4, "text", title="Guide", heading=("Install",)))
    'Guide › Install\\ntext'
    """
    return chunk.passage if context else chunk.text


def named(chunk: Chunk, *, context: bool = True) -> str:
    """Where the codes of a chunk are looked up: what a model wrote about it names none of them. What its
    document is called is no context.

    >>> named(Chunk("c", "PROJ-7", 0, 0, 4, "Wait", title="Queue"), context=False)
    'PROJ-7\\nWait'
    """
    return chunk.own if context else f"{chunk.doc_id}\n{chunk.text}"


def place(chunk: Chunk) -> str:
    """Heading path, and the sentence about the chunk and its facts where there are any, as they are written
    down.

    >>> place(Chunk("c", "d", 0, 0, 4, "text", heading=("Install",)))
    '["Install"]'
    """
    path = list(chunk.heading)
    if not chunk.about and not chunk.facts:
        return dump(path)
    facts = {"facts": chunk.facts} if chunk.facts else {}
    return dump({"about": chunk.about, "path": path, **facts})


def read_place(text: str) -> tuple[tuple[str, ...], str, str]:
    """The inverse of ``place``.

    >>> read_place(place(Chunk("c", "d", 0, 0, 4, "text", heading=("Install",), about="On Linux.")))
    (('Install',), 'On Linux.', '')
    """
    found = json.loads(text)
    if isinstance(found, dict):
        return tuple(found["path"]), str(found["about"]), str(found.get("facts", ""))
    return tuple(found), "", ""


def dump_labels(labels: Labels) -> str | None:
    """Labels as they are written down: sorted, each once. Raises InputError for what is no label.

    >>> dump_labels(("b", "a", "b")), dump_labels(()), dump_labels(None)
    ('["a","b"]', '[]', None)
    """
    return None if labels is None else dump(sorted(label_names.checked(labels)))


def dump(value: object) -> str:
    """Canonical JSON: the same value always gives the same text."""
    return _JSON.encode(value)


def outline(document: Document) -> bytes:
    """Sections and source map, compressed."""
    sections = [[s.start, s.end, s.title, s.level, s.kind] for s in document.sections]
    return zlib.compress(dump([sections, [list(point) for point in document.source_map]]).encode(), 6)


def read_outline(body: bytes) -> tuple[tuple[Section, ...], tuple[tuple[int, int], ...]]:
    """The inverse of ``outline``."""
    sections, points = json.loads(zlib.decompress(body))
    return tuple(Section(*row) for row in sections), tuple((at, source) for at, source in points)


def content_digest(document: Document, chunks: Sequence[Chunk]) -> bytes:
    """What decides whether a document put again is unchanged: everything it says and how it was cut (who may
    read it is compared apart).
    """
    cut = [[c.chunk_id, c.ordinal, c.start, c.end, c.title, list(c.heading), *_beside(c)] for c in chunks]
    return digest(
        document.doc_id,
        document.text,
        document.title,
        dump(dict(document.metadata)),
        document.media_type,
        dump(list(document.flags)),
        outline(document),
        dump(cut),
        size=CONTENT_BYTES,
    )


def _beside(chunk: Chunk) -> list[str]:
    """What an older index's digests did not cover is left out where there is none."""
    return [chunk.about, chunk.facts] if chunk.facts else [chunk.about] if chunk.about else []


def pages(text: str) -> Iterator[bytes]:
    """The text in pieces of ``PAGE_CHARS`` characters, each compressed on its own."""
    for at in range(0, len(text), PAGE_CHARS):
        yield zlib.compress(text[at : at + PAGE_CHARS].encode(), 6)


def refusal(document: Document, chunks: Sequence[Chunk]) -> InputError | None:
    """Why a put would refuse this document; None when it would not."""
    try:
        check_input(document, chunks)
    except InputError as error:
        return error
    return None


def check_input(document: Document, chunks: Sequence[Chunk]) -> None:
    """Refuse what could not be given back: ids out of limits, text that is not Unicode, chunks that are not
    the text they name. Raises InputError (E_ID, E_ENCODING, E_BAD_FORMAT).
    """
    _check_id(document.doc_id)
    dump_labels(document.labels)
    try:
        document.text.encode()
        dump([document.title, dict(document.metadata), document.labels, document.flags]).encode()
    except (UnicodeEncodeError, ValueError, TypeError) as error:
        raise _bad(document, "E_ENCODING", f"holds text or values that cannot be stored ({error})") from error
    _check_values(document, document.metadata)
    for chunk in chunks:
        if document.text[chunk.start : chunk.end] != chunk.text or chunk.doc_id != document.doc_id:
            raise _bad(document, "E_BAD_FORMAT", f"chunk {chunk.chunk_id} is not its text at its offsets")
    for one, two in pairwise(chunks):
        if two.ordinal <= one.ordinal:
            raise _bad(document, "E_BAD_FORMAT", "its chunks are not in order")


def _check_id(doc_id: str) -> None:
    encoded = doc_id.encode("utf-8", "surrogatepass")
    whole = encoded == doc_id.encode("utf-8", "replace")
    if not doc_id.strip() or len(encoded) > MAX_ID_BYTES or "\x00" in doc_id or not whole:
        raise InputError(
            "E_ID",
            f"the id {doc_id[:40]!r} ({len(encoded):,} bytes) is not 1–{MAX_ID_BYTES} bytes of valid text",
            cure="give the document another doc_id",
            detail=doc_id[:80].encode("utf-8", "replace").decode(),
        )


def _check_values(document: Document, metadata: Mapping[str, Value]) -> None:
    for name, value in metadata.items():
        if not isinstance(value, (str, int, float, bool)) or (isinstance(value, int) and abs(value) >= 2**63):
            raise _bad(document, "E_BAD_FORMAT", f"metadata {name!r} is not text, a number or a truth value")


def _bad(document: Document, code: str, why: str) -> InputError:
    return InputError(code, f"{document.doc_id} {why}", cure="mend the document", detail=document.doc_id)
