"""Plain text, and text whose grammar we do not know: kept as it is."""

from __future__ import annotations

from collections.abc import Iterator

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import Source
from fingerpost.records import Document


def parse(source: Source) -> Iterator[Document]:
    """One document; a form feed or a row of dashes is no heading."""
    text, flags = decode(source.data, source.name, declared=True)
    yield Document("", text, flags=flags)
