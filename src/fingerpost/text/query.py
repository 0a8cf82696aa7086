"""A query is text: nothing in it is an operator, and it is checked before anything is spent on it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from fingerpost.errors import UsageError
from fingerpost.text.tokens import analyze, codes

MAX_CHARS = 32_768
MAX_TERMS = 1_024

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Query:
    """``text`` as the encoder reads it; distinct body ``terms`` and ``codes`` in order of appearance.

    A query of stop words alone has no terms: the lexical leg finds nothing, the dense leg still reads the
    text.
    """

    text: str
    terms: tuple[str, ...]
    codes: tuple[str, ...]


def parse(text: str) -> Query:
    """Check and tokenize a query. Quotes, brackets, AND, ``field:``, ``*`` and ``~`` are text like any other.

    Text is brought to NFC; bidirectional controls and zero-width characters are removed, other control
    characters become spaces. Raises UsageError: E_EMPTY_QUERY, E_TOO_LONG (over 32,768 characters),
    E_TOO_MANY_TERMS (over 1,024 distinct terms), E_ENCODING (NUL or half a surrogate pair),
    E_USAGE (not a string).

    >>> parse('title:(keys AND "E4012")').terms
    ('titl', 'key', 'e4012')
    >>> parse("E4012 again: e4012").codes
    ('e4012',)
    """
    clean = _clean(text)
    terms = _distinct(analyze(clean))
    named = _distinct(codes(clean))
    count = max(len(terms), len(named))
    if count > MAX_TERMS:
        raise UsageError(
            "E_TOO_MANY_TERMS",
            f"the query holds {count:,} distinct terms, more than {MAX_TERMS:,}",
            cure="ask with fewer words",
        )
    return Query(clean, terms, named)


def _clean(text: str) -> str:
    if not isinstance(text, str):
        raise UsageError("E_USAGE", f"the query is {type(text).__name__}, not text", cure="give a string")
    if len(text) > 8 * MAX_CHARS:  # before any work that grows with the text
        raise _too_long(len(text))
    if "\x00" in text or _SURROGATE.search(text):
        raise UsageError(
            "E_ENCODING", "the query holds a NUL or half a surrogate pair", cure="send valid UTF-8 text"
        )
    visible = _CONTROL.sub(" ", _INVISIBLE.sub("", text))
    clean = unicodedata.normalize("NFC", visible).strip()
    if len(clean) > MAX_CHARS:
        raise _too_long(len(clean))
    if not clean:
        raise UsageError("E_EMPTY_QUERY", "the query holds no text", cure="write what you are looking for")
    return clean


def _too_long(count: int) -> UsageError:
    return UsageError(
        "E_TOO_LONG",
        f"the query has {count:,} characters, more than {MAX_CHARS:,}",
        cure="ask with the part that matters",
    )


def _distinct(terms: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))
