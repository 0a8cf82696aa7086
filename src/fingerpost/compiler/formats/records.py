"""JSON Lines: one record a line; a bad line is rejected by its number and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import MAX_LINE_BYTES, Source, bad_format, strictjson
from fingerpost.errors import InputError
from fingerpost.records import Document, Rejection, Value
from fingerpost.text import labels

ID_KEYS = ("_id", "id", "doc_id")
TEXT_KEYS = ("text", "contents", "content", "body")
OWN = frozenset((*ID_KEYS, *TEXT_KEYS, "title", "metadata", "labels"))
MAX_METADATA = 256
MAX_VALUE = 8_192
LONGEST_TITLE = 200
"""Characters; a longer title is text."""


def parse(source: Source) -> Iterator[Document | Rejection]:
    """Documents with their record's id, or ``#line``. Blank lines are nothing."""
    for number, line in enumerate(source.data.split(b"\n"), source.line):
        if not line.strip():
            continue
        try:
            yield _line(line, number)
        except InputError as error:
            yield Rejection(f"line {number}", error.code, error.message, error.cure)


def _line(line: bytes, number: int) -> Document:
    if len(line) > MAX_LINE_BYTES:
        raise InputError(
            "E_TOO_BIG", f"the line has {len(line)} bytes (at most {MAX_LINE_BYTES})", cure="split the record"
        )
    text, flags = decode(line, f"line {number}")
    return document(strictjson.loads(text), number, flags=flags)


def document(record: object, number: int, *, flags: tuple[str, ...] = ()) -> Document:
    """A document of one record: ``{"_id" | "id" | "doc_id", "title", "text", "metadata", "labels", …}``.

    Scalars beside the known keys are metadata too. ``labels`` is a list of names; ``[]`` lets nobody read it.
    Raises InputError.

    >>> document({"_id": 7, "text": "seven", "year": 2020}, 1).metadata
    {'year': 2020}
    """
    if not isinstance(record, Mapping):
        raise bad_format("the record is not a JSON object", cure='write {"_id": …, "title": …, "text": …}')
    title, text = _string(record, ("title",)), _string(record, TEXT_KEYS)
    if not text.strip() and not title.strip():
        raise InputError("E_EMPTY", "the record holds neither text nor title", cure="fill 'text'")
    metadata, dropped = _metadata(record)
    return Document(
        doc_id=_id(record, number),
        text=_with_title(title, text),
        title=title,
        metadata=metadata,
        labels=_labels(record),
        flags=(*flags, f"metadata_dropped:{dropped}") if dropped else flags,
    )


def _with_title(title: str, text: str) -> str:
    """The text; the title in its place where there is none, and before it where it is too long for a title:
    before chunks it would be cut, and what it says, names and codes included, stand nowhere.
    """
    if not text.strip():
        return title
    return f"{title}\n\n{text}" if len(title) > LONGEST_TITLE and title not in text else text


def _string(record: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    key = next((key for key in keys if record.get(key) is not None), None)
    if key is None:
        return ""
    value = record[key]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n\n".join(value)
    if not isinstance(value, str):
        raise bad_format(f"'{key}' is {type(value).__name__}, not text", cure=f"make '{key}' a string")
    return value


def _id(record: Mapping[str, Any], number: int) -> str:
    key = next((key for key in ID_KEYS if key in record), None)
    if key is None:
        return f"#{number}"
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(
            "E_ID", f"'{key}' is {type(value).__name__}, not a string", cure=f"make '{key}' a string"
        )
    if value == "" or (isinstance(value, str) and value.startswith("#")):
        raise InputError(
            "E_ID", f"'{key}' is empty or starts with '#'", cure="give the record a name of its own"
        )
    return str(value)


def _labels(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Null is no list: it may mean nobody as well as everybody."""
    return labels.checked(record["labels"]) if "labels" in record else None


def _metadata(record: Mapping[str, Any]) -> tuple[dict[str, Value], int]:
    """Scalars (lists of them joined by commas), and how many values were something else or too long."""
    nested = record.get("metadata")
    own = {key: value for key, value in record.items() if key not in OWN}
    rows = {**own, **(nested if isinstance(nested, Mapping) else {})}
    if len(rows) > MAX_METADATA:
        raise InputError(
            "E_TOO_MANY", f"{len(rows)} metadata keys (at most {MAX_METADATA})", cure="drop some"
        )
    kept: dict[str, Value] = {}
    for key, value in rows.items():
        if isinstance(value, list) and value and all(isinstance(part, str | int | float) for part in value):
            value = ", ".join(str(part) for part in value)
        if isinstance(value, str | int | float) and len(str(value)) <= MAX_VALUE and len(key) <= 128:
            kept[key] = value
    blank = sum(value is None or value == [] or value == {} for value in rows.values())
    extra = 0 if nested is None or isinstance(nested, Mapping) else 1
    return kept, len(rows) - len(kept) - blank + extra
