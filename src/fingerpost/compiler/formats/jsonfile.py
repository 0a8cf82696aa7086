"""JSON files: notebooks, lists of records, or plain text that happens to be JSON. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import Source, records, strictjson
from fingerpost.compiler.formats.markdown import links, plain
from fingerpost.compiler.outline import Mark, enclose
from fingerpost.errors import InputError
from fingerpost.records import Document, Rejection

_HEADING = re.compile(r"(?m)^(#{1,6})[ \t]+(.{1,300})$")


def parse(source: Source) -> Iterator[Document | Rejection]:
    """A notebook's cells as one document; records of a list each for itself; else the text as it stands."""
    text, flags = decode(source.data, source.name)
    value = strictjson.loads(text)
    if isinstance(value, dict) and isinstance(value.get("cells"), list) and "nbformat" in value:
        yield _notebook(value["cells"], flags)
    elif _records(value):
        yield from _list(value)
    else:
        yield Document("", text, media_type="application/json", flags=flags)


def _records(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and any(key in value[0] for key in records.TEXT_KEYS)
    )


def _list(values: list[Any]) -> Iterator[Document | Rejection]:
    for number, value in enumerate(values, 1):
        try:
            yield records.document(value, number)
        except InputError as error:
            yield Rejection(f"record {number}", error.code, error.message, error.cure)


def _notebook(cells: list[Any], flags: tuple[str, ...]) -> Document:
    """Sources and plain-text outputs; HTML, images and scripts of outputs are left out, and flagged."""
    parts: list[str] = []
    marks: list[Mark] = []
    at, active = 0, False
    for cell in cells:
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        if not isinstance(kind, str):
            continue
        piece = _joined(cell.get("source"))
        if kind == "markdown":
            found = _HEADING.finditer(piece)
            marks += [Mark(at + m.start(), plain(m.group(2)), len(m.group(1))) for m in found]
        outputs, rich = _outputs(cell)
        active = active or rich
        for part in filter(str.strip, (piece, *outputs)):
            parts.append(part)
            at += len(part) + 2
    text = "\n\n".join(parts)
    title = next((mark.title for mark in marks), "")
    flags = (*flags, "has_active_content") if active else flags
    outline = enclose(marks, len(text))
    kind = "application/x-ipynb+json"
    return Document("", text, title=title, media_type=kind, sections=outline + links(text), flags=flags)


def _outputs(cell: dict[str, Any]) -> tuple[list[str], bool]:
    texts: list[str] = []
    rich = False
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict):
            texts.append(_joined(data.get("text/plain")))
            rich = rich or any(
                kind in data for kind in ("text/html", "application/javascript", "image/svg+xml")
            )
        elif isinstance(output, dict):
            texts.append(_joined(output.get("text")))
    return texts, rich


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
