"""Filters on metadata and access labels, decided in SQLite over standing documents, before any scoring.

A filter is ``key:value``; several hold together. ``path:guides/*`` (``*`` any text, ``?`` one character),
``modified:>=2024-01-01`` (``< <= > >=``; numbers as numbers, everything else as text, so ISO dates order
rightly), ``key:=literal`` (nothing in the value is special). Values are bound, never written into SQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fingerpost.errors import UsageError
from fingerpost.store.digest import Field

MAX_CONDITIONS = 64
MAX_VALUE = 1_024
RESERVED = frozenset({"acl", "label", "labels", "principal", "principals"})
COLUMNS = {"doc_id": "doc_id", "title": "title", "media_type": "media_type"}
_CONDITION = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,63}):(>=|<=|>|<|=|)(.*)", re.DOTALL)
_CURE = "write key:value, key:>=value or key:prefix*, for example source:docs or modified:>=2024-01-01"


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``key:value``; ``operator`` is one of ``= < <= > >= glob``."""

    key: str
    operator: str
    value: str

    def sql(self) -> tuple[str, list[Field]]:
        """An SQL term over the columns of ``documents``, and its values."""
        place, bound = _place(self.key)
        if self.operator == "glob":
            return f"CAST({place} AS TEXT) GLOB ?", [*bound, self.value.replace("[", "[[]")]
        number = _number(self.value)
        if self.operator == "=":
            same = f"(CAST({place} AS TEXT) = ? OR (typeof({place}) IN ('integer', 'real') AND {place} = ?))"
            return same, [*bound, self.value, *bound, *bound, number]
        return (
            f"CASE typeof({place}) WHEN 'text' THEN {place} {self.operator} ? "
            f"WHEN 'null' THEN 0 ELSE {place} {self.operator} ? END",
            [*bound, *bound, self.value, *bound, number],
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold.

    >>> Filter.parse(["source:docs", "modified:>=2024-01-01"]).conditions[1].operator
    '>='
    """

    conditions: tuple[Condition, ...] = ()

    @classmethod
    def parse(cls, texts: str | Sequence[str]) -> Filter:
        """Read one filter or several. Raises UsageError E_FILTER."""
        given = [texts] if isinstance(texts, str) else list(texts)
        if len(given) > MAX_CONDITIONS:
            raise refused(f"{len(given):,} filters are more than {MAX_CONDITIONS}")
        return cls(tuple(_condition(text) for text in given))

    @property
    def keys(self) -> frozenset[str]:
        """The keys that the conditions name."""
        return frozenset(condition.key for condition in self.conditions)


def refused(why: str) -> UsageError:
    """The error for a filter that cannot be used."""
    return UsageError("E_FILTER", why, cure=_CURE)


def _condition(text: str) -> Condition:
    if not isinstance(text, str):
        raise refused(f"a filter is text, not {type(text).__name__}")
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise refused(f"{text[:60]!r} is not of the form key:value")
    key, operator, value = match.groups()
    if key.lower() in RESERVED:
        raise refused(f"the key {key!r} is reserved; access is decided by principals")
    if not value or len(value) > MAX_VALUE or "\x00" in value or not _encodable(value):
        raise refused(f"the value of {key!r} must have 1–{MAX_VALUE:,} characters of valid text")
    if not operator:
        operator = "glob" if set(value) & {"*", "?"} else "="
    return Condition(key, operator, value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: str) -> float | int | None:
    try:
        number = json.loads(value)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(number, (int, float)) and not isinstance(number, bool)
    return number if whole and abs(number) < 2**63 else None


def _place(key: str) -> tuple[str, list[Field]]:
    """Where a key's value stands. ``path`` falls back to the doc_id, truth values read true and false."""
    if key in COLUMNS:
        return COLUMNS[key], []
    found = (
        "CASE json_type(metadata, ?) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
        "ELSE json_extract(metadata, ?) END"
    )
    bound: list[Field] = [f'$."{key}"', f'$."{key}"']
    return (f"coalesce({found}, doc_id)", bound) if key == "path" else (f"({found})", bound)


def readable(principals: Sequence[str], *, unlabelled: bool) -> tuple[str, list[Field]]:
    """An SQL term that is true of documents that one of ``principals`` may read."""
    held = "EXISTS (SELECT 1 FROM json_each(labels) WHERE value IN (SELECT value FROM json_each(?)))"
    bound: list[Field] = [json.dumps(sorted(set(principals)))]
    return (
        (f"(labels IS NULL OR {held})", bound) if unlabelled else (f"(labels IS NOT NULL AND {held})", bound)
    )


STANDING = "valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"
"""An SQL term that is true of the versions that stand as of a seq (bound twice)."""
