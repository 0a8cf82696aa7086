"""What commands write to stdout: lines for people, one JSON object a line for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import typer

# Control characters, lone surrogates, bidirectional controls and invisible characters: a document could use
# them to rewrite the terminal or to show a reader another text than the one that is there.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""Text that cannot act on a terminal; line ends and tabs stay.

    >>> visible("red\x1b[31m \u202eevil")
    'red\\x1b[31m \\u202eevil'
    """
    return _UNSAFE.sub(_escape, text)


def one_line(text: str) -> str:
    r"""Visible text on one line: white space runs become one space.

    >>> one_line("a\n  b\tc")
    'a b c'
    """
    return " ".join(visible(text).split())


def label(text: str) -> str:
    r"""An id on one line, with every control character shown and no space lost.

    >>> label("a\nb ")
    'a\\x0ab '
    """
    return visible(text).replace("\n", "\\x0a").replace("\t", "\\x09")


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def say(text: str = "") -> None:
    """One line of data on stdout; the caller has made it visible."""
    typer.echo(text)


def as_json(value: object) -> str:
    r"""One line of JSON that shows no control or bidirectional character as itself.

    >>> as_json({"text": "a\u202eb", "n": (1, 2)})
    '{"text": "a\\u202eb", "n": [1, 2]}'
    """
    return _UNSAFE.sub(_json_escape, json.dumps(plain(value), ensure_ascii=False, allow_nan=False))


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1] if ord(found.group()) != 0x7F else "\\u007f"


def plain(value: object) -> object:
    """Records as mappings, tuples as lists, numpy scalars as numbers, NaN as null.

    >>> plain(float("nan")) is None
    True
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, float):
        return number if abs(number) < float("inf") else None
    return number if isinstance(number, int) else str(number)


def number(value: float) -> str:
    """A count or measure as people read it.

    >>> number(58110), number(0.5), number(3.0)
    ('58,110', '0.5', '3')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def note(text: str) -> None:
    """One line on stderr, with control characters shown."""
    typer.echo(visible(text), err=True)
