"""JSON as the standard has it: no duplicate keys, no NaN, no endless numbers, bounded depth."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fingerpost.compiler.formats import bad_format
from fingerpost.errors import InputError

MAX_DEPTH = 200


def loads(text: str) -> Any:
    """The value.

    Raises InputError: E_DEPTH, E_BAD_FORMAT.

    >>> loads('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise InputError("E_DEPTH", "nested too deep for JSON", cure="flatten the value") from error
    except ValueError as error:
        raise bad_format(f"not valid JSON: {error}", cure="mend the JSON") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
