"""XML and SVG: text only. No entity is declared or fetched, no script or style is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn
from xml.parsers import expat

from fingerpost.compiler.formats import Source, bad_format
from fingerpost.errors import InputError
from fingerpost.records import Document

MAX_DEPTH = 256
_SKIPPED = frozenset(("script", "style"))
_INLINE_NAMES = "a b i em strong span tspan code sub sup tt u emphasis literal xref link"
_INLINE = frozenset(_INLINE_NAMES.split())


class _Text:
    """Collects character data; raises for anything that could grow or reach out."""

    def __init__(self, name: str) -> None:
        self.parts: list[str] = []
        self.title = ""
        self.active = False
        self._name = name
        self._open: list[str] = []
        self._skipping = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        self._open.append(tag)
        if len(self._open) > MAX_DEPTH:
            message = f"{self._name} nests elements deeper than {MAX_DEPTH}"
            raise InputError("E_DEPTH", message, cure="flatten it")
        self._skipping += tag in _SKIPPED
        self.active = (
            self.active or tag in ("script", "foreignObject") or any(k.startswith("on") for k in attributes)
        )
        self._gap(tag)

    def end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        self._open.pop()
        self._skipping -= tag in _SKIPPED
        self._gap(tag)

    def _gap(self, tag: str) -> None:
        if tag not in _INLINE and self.parts and self.parts[-1] != "\n":
            self.parts.append("\n")

    def data(self, text: str) -> None:
        if self._skipping:
            return
        if self._open[-1] == "title" and not self.title:
            self.title = text.strip()
        if text.strip() or (self.parts and not self.parts[-1].endswith((" ", "\n"))):
            self.parts.append(text)

    def entity(self, *declaration: object) -> NoReturn:
        raise bad_format(f"{self._name} declares entities, which are not expanded", cure="remove its DOCTYPE")


def parse(source: Source) -> Iterator[Document]:
    """One document of the character data, elements on lines of their own."""
    text = _Text(source.name)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = text.start
    parser.EndElementHandler = text.end
    parser.CharacterDataHandler = text.data
    parser.EntityDeclHandler = text.entity
    parser.ExternalEntityRefHandler = text.entity
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(source.data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise bad_format(f"{source.name} is not well-formed XML: {error}") from error
    body = "".join(text.parts).strip()
    if not body:
        raise InputError("E_EMPTY", f"{source.name} holds no text", cure="leave it out")
    media = "image/svg+xml" if source.name.lower().endswith(".svg") else "application/xml"
    yield Document(
        "", body, title=text.title, media_type=media, flags=("has_active_content",) if text.active else ()
    )
