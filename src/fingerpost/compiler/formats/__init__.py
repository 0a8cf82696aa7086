"""Readers, one file a format. They run in the reading process only (see jail.py).

Each has ``parse(source: Source) -> Iterator[Document | Rejection]``. Documents leave with an empty
``doc_id`` unless the record carries one, or with ``#7`` for the seventh line or record of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module

from fingerpost.errors import InputError
from fingerpost.records import Document, Rejection

MAX_LINE_BYTES = 16_000_000
MAX_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader gets: the bytes, the name they came under, what they are, and the first line's number."""

    data: bytes
    name: str
    kind: str = ""
    line: int = 1


def parse(source: Source) -> Iterator[Document | Rejection]:
    """Documents and rejections of one file, by the content's kind; raises InputError for the whole file."""
    from fingerpost.compiler.detect import detect

    found = detect(source.data, source.name) if not source.kind else None
    kind = found.kind if found else source.kind
    module = import_module(f"fingerpost.compiler.formats.{kind}")
    flags = found.flags if found else ()
    for item in module.parse(Source(source.data, source.name, kind, source.line)):
        yield _checked(item, source.name, flags) if isinstance(item, Document) else item


def _checked(document: Document, name: str, flags: tuple[str, ...]) -> Document:
    if not document.text.strip("\0 \t\r\n\ufeff"):
        raise bad_format(f"{name} holds no text, only white space or NUL characters", cure="leave it out")
    return replace(document, flags=(*document.flags, *flags)) if flags else document


def bad_format(message: str, cure: str = "mend or remove the file") -> InputError:
    """The error of content that breaks its own format."""
    return InputError("E_BAD_FORMAT", message, cure=cure)
