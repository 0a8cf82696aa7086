"""Offset arithmetic: maps between texts, sentences, unions of intervals. Offsets count code points."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fingerpost.text.code import is_code, is_prose

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """How offsets of a text lead back to the source it was made from.

    ``breakpoints`` are pairs (offset in text, offset in source), both ascending. Between two of them the
    texts run in parallel where both advance equally; otherwise that stretch was replaced as a whole (a
    masked key, a composed letter) and has no inside. Before the first and after the last one the texts run
    in parallel. The empty map is the identity. The same pairs are what ``Document.source_map`` holds.
    """

    breakpoints: tuple[tuple[int, int], ...] = ()

    @classmethod
    def from_edits(cls, edits: Iterable[tuple[int, int, int]]) -> OffsetMap:
        """The map of a text made by edits: source ``[start, end)`` was replaced by ``length`` characters.

        Edits are ascending and do not overlap.

        >>> OffsetMap.from_edits([(2, 9, 3)]).breakpoints
        ((2, 2), (5, 9))
        """
        points: list[tuple[int, int]] = []
        shift = 0  # text offset - source offset
        for start, end, length in edits:
            if length == end - start:
                continue
            points.append((start + shift, start))
            shift += length - (end - start)
            points.append((end + shift, end))
        return cls(tuple(dict.fromkeys(points)))

    def to_source(self, offset: int) -> int:
        """The source offset of a text offset; inside a replaced stretch, the stretch's beginning.

        >>> [OffsetMap(((2, 2), (5, 9))).to_source(at) for at in (1, 2, 4, 5, 6)]
        [1, 2, 2, 9, 10]
        """
        return self._lookup(offset, up=False)

    def span_to_source(self, start: int, end: int) -> Interval:
        """The smallest source span that holds text ``[start, end)``; replaced stretches are taken whole.

        >>> OffsetMap(((2, 2), (5, 9))).span_to_source(3, 4)
        (2, 9)
        """
        return self._lookup(start, up=False), self._lookup(end, up=True)

    def compose(self, earlier: OffsetMap) -> OffsetMap:
        """This map followed by ``earlier``, which leads from this one's source further back.

        >>> OffsetMap.from_edits([(1, 2, 5)]).compose(OffsetMap.from_edits([(0, 0, 10)])).to_source(16)
        2
        """
        if not self.breakpoints or not earlier.breakpoints:
            return self if self.breakpoints else earlier
        inner = [point for at, _ in earlier.breakpoints if (point := self._preimage(at)) is not None]
        texts = sorted({*(text for text, _ in self.breakpoints), *inner})
        points: list[tuple[int, int]] = []
        for text in texts:
            # an insertion's two ends share one text or source offset: keep both sides of it
            low, high = self._lookup(text, up=False, side=-1), self._lookup(text, up=True, side=1)
            points += [
                (text, earlier._lookup(low, up=False, side=-1)),
                (text, earlier._lookup(high, up=True, side=1)),
            ]
        return OffsetMap(tuple(dict.fromkeys(points)))

    def _lookup(self, offset: int, *, up: bool, side: int = 1) -> int:
        points = self.breakpoints
        at = bisect_right(points, offset, key=_text_of)
        if at == 0:
            return offset + (points[0][1] - points[0][0] if points else 0)
        text, source = points[at - 1]
        if text == offset:
            if side < 0:
                while at > 1 and points[at - 2][0] == offset:
                    at -= 1
            return points[at - 1][1]
        if at == len(points):
            return source + offset - text
        next_text, next_source = points[at]
        if next_text - text == next_source - source:
            return source + offset - text
        return next_source if up else source

    def _preimage(self, source: int) -> int | None:
        """The text offset that leads to ``source``, None inside a replaced stretch."""
        points = self.breakpoints
        at = bisect_right(points, source, key=_source_of)
        if at == 0:
            return source - points[0][1] + points[0][0]
        text, begin = points[at - 1]
        if begin == source or at == len(points):
            return text + source - begin
        next_text, next_begin = points[at]
        return text + source - begin if next_text - text == next_begin - begin else None


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of half-open intervals, ascending; touching ones become one, empty ones vanish.

    >>> merge([(5, 9), (0, 2), (2, 4), (8, 12), (7, 7)])
    [(0, 4), (5, 12)]
    """
    union: list[Interval] = []
    for start, end in sorted(intervals):
        if end <= start:
            continue
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


_SHORT = """
mr mrs ms dr prof sr jr st vs etc e.g i.e cf al fig figs eq eqs no nos vol pp p ch sec ed eds est
approx dept inc ltd co corp u.s u.k a.m p.m ca resp ref refs jan feb mar apr jun jul aug sep sept
oct nov dec
"""
_ABBREVIATIONS = frozenset(_SHORT.split())
_STOP = re.compile(r"[.!?…]+[\"'”’»)\]*_`]*|[。！？]+[」』”’）]*|\n\s*")
_ITEM = re.compile(
    r"[-*+•‣◦](?:\s|$)|[>#|]|\d{1,3}[.)]\s|[A-Za-z][.)]\s|```|~~~|@\w|:(?![\w:+.-]{1,40}:?`)\w|\.\. |\.\.\. "
    r"|--?[A-Za-z][\w-]*(?:[ =]\S{1,40})?(?:,|\s{2})|\*\*[A-Z]|[=~^\"'*+_#-]{3,}(?:\s|$)"
    r"|[A-Za-z]{0,2}(?:\"\"\"|''')"
)
_RULE = re.compile(r"[^\w\s]{3,}$")  # under a title, around a table, quotation marks on a line of their own
_OPEN = re.compile(
    r"\b(?:the|an?|of|to|and|or|in|for|with|by|from|is|are|that|as|on)\s*$", re.I
)  # more must come
_WRAPPED_AT = 50
_PROSE_CHARS = 160  # before and after a line break, to tell prose from code


def sentences(text: str) -> list[Interval]:
    """Spans of the sentences of ``text``, without the white space around them, in time linear in its length.

    A blank line always ends a sentence. A line break ends one before a list item, heading or table row,
    where the indentation changes, around source code, and after a line too short to have been wrapped; that
    of a wrapped line does not. Nor do common abbreviations, initials and decimal points.

    >>> text = "See Dr. Smith et al. for v1.2. It works!\\n- one\\n- two"
    >>> [text[start:end] for start, end in sentences(text)]
    ['See Dr. Smith et al. for v1.2.', 'It works!', '- one', '- two']
    >>> len(sentences("    Block until some other thread has called release() to\\n    unlock the lock."))
    1
    """
    spans: list[Interval] = []
    start = 0
    line = _Line.first(text)
    for match in _STOP.finditer(text):
        if text[match.start()] != "\n":
            ends = _stops(text, match, start)
        else:
            following = line.after(text, match)
            ends = line.ends(text, match, following, begun=start)
            line = following
        if ends:
            _append(spans, text, start, match.end())
            start = match.end()
    _append(spans, text, start, len(text))
    return spans


def _append(spans: list[Interval], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    bare = piece.strip()
    if bare:
        begin = start + len(piece) - len(piece.lstrip())
        spans.append((begin, begin + len(bare)))


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that begins at ``start``, after ``indent`` characters of white space (None: unknown)."""

    start: int
    indent: int | None
    item: bool

    @classmethod
    def first(cls, text: str) -> _Line:
        start = len(text) - len(text.lstrip())
        return cls(
            start, start - text.rfind("\n", 0, start) - 1 if start else None, bool(_ITEM.match(text, start))
        )

    def after(self, text: str, broken: re.Match[str]) -> _Line:
        """The line behind ``broken``."""
        gap = broken.group()
        return _Line(broken.end(), len(gap) - gap.rfind("\n") - 1, bool(_ITEM.match(text, broken.end())))

    def ends(self, text: str, broken: re.Match[str], following: _Line, *, begun: int) -> bool:
        """Whether the line break before the line ``following`` ends the sentence that began at ``begun``."""
        at = broken.start()
        if broken.group().count("\n") > 1 or following.item or following.start == len(text):
            return True
        wrapped = at - self.start >= _WRAPPED_AT
        lower = text[following.start].islower() or _OPEN.search(text, max(begun, at - 12), at) is not None
        if not (wrapped or lower) or _RULE.match(
            text[self.start : self.start + _PROSE_CHARS].partition("\n")[0]
        ):
            return True
        if self._set_off(following, wrapped=self.indent is None or (wrapped and lower)):
            return True
        said = text[max(begun, at - _PROSE_CHARS) : at].rstrip()
        if said.endswith(":") and not wrapped:
            return True
        prose = is_prose(said)
        if not prose and (said.endswith((";", "{", "}")) or is_code(said)):
            return True
        following_line = text[following.start : following.start + _PROSE_CHARS].partition("\n")[0]
        return not (prose and wrapped) and is_code(following_line)

    def _set_off(self, following: _Line, *, wrapped: bool) -> bool:
        """Whether indentation parts the lines; that under a list item or a wrapped first line does not."""
        own, its = self.indent or 0, following.indent or 0
        return its != own and not (wrapped or (self.item and its > own))


def _stops(text: str, match: re.Match[str], start: int) -> bool:
    """Whether a full stop, question or exclamation mark ends the sentence that began at ``start``."""
    after = text[match.end() : match.end() + 2]
    if not after or text[match.start()] in "。！？":
        return True
    if not after[0].isspace():
        return False
    if after[0] != "\n" and after[1:].islower():
        return False
    if text[match.start()] != "." or match.end() - match.start() > 1:
        return True
    word = text[max(start, match.start() - 12) : match.start()].split()[-1:] or [""]
    last = word[0].lstrip("(\"'“‘[").lower()
    initial = len(last) == 1 and last.isalpha() and word[0][-1].isupper()
    bullet = last.isdecimal() and not text[start : match.start() - len(last)].strip()
    return not (last in _ABBREVIATIONS or initial or bullet)


def _text_of(point: Sequence[int]) -> int:
    return point[0]


def _source_of(point: Sequence[int]) -> int:
    return point[1]
