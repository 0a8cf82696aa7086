"""Normalizing text: one form for what looks the same, nothing that disturbs a terminal or a store.

NFC; ``\\r\\n`` and ``\\r`` become ``\\n``, other line breaks too; control characters go (tabs and line breaks
stay); lone surrogates become U+FFFD. Bidirectional controls, zero-width and tag characters stay, for
searching, and are flagged. Time is linear; runs of more than 30 combining marks are left as they are
(UAX #15, Stream-Safe Text Format), because sorting them is not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from fingerpost.compiler.sieve import may_hold_controls
from fingerpost.text.spans import OffsetMap

MAX_MARKS = 30
FIRST_MARK = "\u0300"
_ODD = re.compile(
    "\\r\\n?|[\\x0b\\x0c\\x1c-\\x1e\\x85]|[\\x00-\\x08\\x0e-\\x1b\\x1f\\x7f-\\x84\\x86-\\x9f]+|[\\ud800-\\udfff]+"
)
_BEYOND_ASCII = re.compile("[\\x00-\\x7f]?[^\\x00-\\x7f]+")
_FLAGGED = (
    ("bidi_controls", re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")),
    ("zero_width", re.compile("[\\u200b-\\u200d\\u2060\\ufeff\\u00ad]")),
    ("tag_characters", re.compile("[\\U000e0000-\\U000e007f]")),
)


class Edit(NamedTuple):
    """Source ``[start, end)`` is replaced by ``text``."""

    start: int
    end: int
    text: str


class Normal(NamedTuple):
    """Text, how it leads back to the source, and what was noticed."""

    text: str
    source: OffsetMap
    flags: tuple[str, ...]


def normalize(text: str) -> Normal:
    """The normal form of ``text``.

    >>> normal = normalize("a\\r\\ncafe\\u0301\\0")
    >>> normal.text, normal.flags, normal.source.to_source(4)
    ('a\\ncafé', ('nul_stripped:1',), 5)
    """
    flags = _flags(text)
    raw = text.encode("utf-8", "surrogatepass")
    edits = list(_line_and_control_edits(text)) if may_hold_controls(raw) else []
    first = OffsetMap.from_edits((edit.start, edit.end, len(edit.text)) for edit in edits)
    text = apply(text, edits)
    if text.isascii():
        return Normal(text, first, flags)
    composed = list(_composing_edits(text))
    second = OffsetMap.from_edits((edit.start, edit.end, len(edit.text)) for edit in composed)
    return Normal(apply(text, composed), second.compose(first), flags)


def apply(text: str, edits: list[Edit]) -> str:
    """The text with edits made; they are ascending and do not overlap.

    >>> apply("abcd", [Edit(1, 3, "-")])
    'a-d'
    """
    if not edits:
        return text
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join([*parts, text[at:]])


def _line_and_control_edits(text: str) -> Iterator[Edit]:
    for match in _ODD.finditer(text):
        found = match.group()
        if found[0] in "\r\x0b\x0c\x1c\x1d\x1e\x85":
            yield Edit(match.start(), match.end(), "\n")
        else:
            surrogate = found[0] >= "\ud800"
            yield Edit(match.start(), match.end(), "\ufffd" * len(found) if surrogate else "")


def _composing_edits(text: str) -> Iterator[Edit]:
    """Where NFC differs; a run of non-ASCII with the one ASCII character before it composes for itself."""
    if max(text, default="") < FIRST_MARK:
        return  # Latin letters with accents are composed already
    for match in _BEYOND_ASCII.finditer(text):
        for start, end in _safe_parts(match.group(), match.start()):
            piece = text[start:end]
            if not unicodedata.is_normalized("NFC", piece):
                yield _trimmed(start, piece, unicodedata.normalize("NFC", piece))


def _safe_parts(run: str, start: int) -> Iterator[tuple[int, int]]:
    """Where the run lies, without its stretches of too many combining marks."""
    if len(run) <= MAX_MARKS or not any(map(unicodedata.combining, run)):
        yield start, start + len(run)
        return
    at, marks = 0, 0
    for place, character in enumerate((*run, "")):
        if character and unicodedata.combining(character):
            marks += 1
            continue
        if marks > MAX_MARKS or not character:
            stop = place - marks - 1 if marks > MAX_MARKS else place
            if stop > at:
                yield start + at, start + stop
            at = place
        marks = 0


def _trimmed(start: int, old: str, new: str) -> Edit:
    """The edit without what both ends have in common, so that offsets stay fine-grained."""
    head = 0
    limit = min(len(old), len(new))
    while head < limit and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < limit - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Edit(start + head, start + len(old) - tail, new[head : len(new) - tail])


def _flags(text: str) -> tuple[str, ...]:
    flags = []
    if nul := text.count("\0"):
        flags.append(f"nul_stripped:{nul}")
    if text.isascii():
        return tuple(flags)
    if surrogates := sum(len(found) for found in re.findall("[\ud800-\udfff]+", text)):
        flags.append(f"surrogates_replaced:{surrogates}")
    return (*flags, *(name for name, pattern in _FLAGGED if pattern.search(text)))
