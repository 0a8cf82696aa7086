"""CSV and TSV: a row with a ``text`` column is a record; any other row is a document of its cells by name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import MAX_COLUMNS, MAX_LINE_BYTES, Source, bad_format, records
from fingerpost.errors import InputError
from fingerpost.records import Document, Rejection
from fingerpost.text.counts import counted

_DELIMITERS = ",;\t|"


def parse(source: Source) -> Iterator[Document | Rejection]:
    """One document a row, with the row's ``id`` or ``#line``. Formulas are text here and never evaluated."""
    text, flags = decode(source.data, source.name)
    _check_width(text, source.name)
    csv.field_size_limit(MAX_LINE_BYTES)
    delimiter = _delimiter(text[:65_536], source.name)
    rows = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter, strict=False)
    try:
        header = [name.strip() or f"column {n}" for n, name in enumerate(next(rows, []), 1)]
        for row in rows:
            yield _row(header, row, rows.line_num, flags)
    except csv.Error as error:
        too_big = "field larger" in str(error)
        message = f"{source.name} line {rows.line_num}: {error}"
        yield Rejection(
            f"line {rows.line_num} and all after it",
            "E_TOO_BIG" if too_big else "E_BAD_FORMAT",
            message,
            "mend the row: a quote may be missing",
        )


def _check_width(text: str, name: str) -> None:
    first = text[: text.find("\n") + 1 or None]
    columns = max(first.count(delimiter) for delimiter in _DELIMITERS) + 1
    if columns > MAX_COLUMNS:
        raise InputError(
            "E_TOO_MANY", f"{name} has {columns} columns (at most {MAX_COLUMNS})", cure="drop some"
        )


def _delimiter(text: str, name: str) -> str:
    """Tabs for .tsv; else what divides the header most often."""
    header = text[: text.find("\n") + 1 or None]
    return "\t" if name.lower().endswith(".tsv") else max(_DELIMITERS, key=header.count)


def _row(
    header: Sequence[str], row: Sequence[str], line: int, flags: tuple[str, ...]
) -> Document | Rejection:
    try:
        if len(row) > MAX_COLUMNS:
            raise InputError("E_TOO_MANY", f"{len(row)} columns (at most {MAX_COLUMNS})", cure="drop some")
        if len(row) > len(header):
            message = f"{counted(len(row), 'cell')} under {counted(len(header), 'heading')}"
            raise bad_format(message, cure="mend the row")
        return records.document(_record(dict(zip(header, row, strict=False))), line, flags=flags)
    except InputError as error:
        return Rejection(f"line {line}", error.code, error.message, error.cure)


def _record(cells: dict[str, str]) -> dict[str, Any]:
    """The row as a record. Without a text column, all cells that hold something, by name."""
    record: dict[str, Any] = {key: value for key, value in cells.items() if value != "" or key == "labels"}
    if "labels" in record:
        record["labels"] = _labels(cells["labels"])
    if any(key in cells for key in records.TEXT_KEYS):
        return record
    shown = (f"{key}: {value}" for key, value in cells.items() if value and key != "labels")
    kept = {key: record[key] for key in (*records.ID_KEYS, "title", "labels") if key in record}
    return {**kept, "text": "\n".join(shown)}


def _labels(cell: str) -> list[Any]:
    """A JSON list, or names between semicolons. A blank cell lets nobody read the row."""
    if cell.lstrip().startswith("["):
        value = json.loads(cell) if _is_json(cell) else None
        if not isinstance(value, list):
            raise bad_format("'labels' starts like a list but is none", cure='write ["team-a"]')
        return value
    return [name.strip() for name in cell.split(";") if name.strip()]


def _is_json(cell: str) -> bool:
    try:
        json.loads(cell)
    except (ValueError, RecursionError):
        return False
    return True
