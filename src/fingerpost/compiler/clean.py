"""Preparing a document: normalize, then mask; outline and source map follow every edit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace

from fingerpost.compiler import mask
from fingerpost.compiler.normalize import Edit, Normal, apply, normalize
from fingerpost.compiler.read import READ_FROM
from fingerpost.config import Settings
from fingerpost.records import Document, Section, Value
from fingerpost.text.spans import OffsetMap


def prepare(document: Document, settings: Settings, *, salt: bytes = mask.SALT) -> Document:
    """The document as it may be stored: in normal form, without secrets and personal data.

    Title, headings and metadata are treated as the text is. ``source_map`` leads from the new text to the
    reader's. Flags gain what was noticed, ``masked:n`` among them. Preparing twice changes nothing.

    >>> prepare(Document("d", "Ask jo@firm.org\\r\\n"), Settings()).flags
    ('masked:1',)
    """
    rules = settings.mask.rules if settings.mask.enabled else ()
    normal = normalize(document.text)
    edits = mask.edits(normal.text, rules, salt=salt)
    text = apply(normal.text, edits)
    masked = OffsetMap.from_edits((edit.start, edit.end, len(edit.text)) for edit in edits)
    source = masked.compose(normal.source)
    told = (_clean(flag, rules, salt) if flag.startswith(READ_FROM) else flag for flag in document.flags)
    flags = (*told, *normal.flags, *((f"masked:{len(edits)}",) if edits else ()))
    place = _Places(normal, edits)
    return replace(
        document,
        text=text,
        title=_clean(document.title, rules, salt),
        metadata=_clean_metadata(document.metadata, rules, salt),
        sections=tuple(_moved(section, place, rules, salt) for section in document.sections),
        source_map=source.compose(OffsetMap(document.source_map)).breakpoints,
        flags=tuple(dict.fromkeys(flags)),
    )


class _Places:
    """Where an offset of the text as read has gone."""

    def __init__(self, normal: Normal, edits: list[Edit]) -> None:
        self._moves = (
            _forward(normal.source),
            _forward(OffsetMap.from_edits((e.start, e.end, len(e.text)) for e in edits)),
        )

    def of(self, offset: int) -> int:
        for sources, texts in self._moves:
            at = bisect_right(sources, offset)
            if at:
                moved = texts[at - 1] + offset - sources[at - 1]
                offset = min(moved, texts[at]) if at < len(texts) else moved
        return offset


def _forward(source: OffsetMap) -> tuple[list[int], list[int]]:
    return [at for _, at in source.breakpoints], [at for at, _ in source.breakpoints]


def _moved(section: Section, place: _Places, rules: tuple[str, ...], salt: bytes) -> Section:
    title = _clean(section.title, rules, salt)
    return Section(place.of(section.start), place.of(section.end), title, section.level, section.kind)


def _clean(text: str, rules: tuple[str, ...], salt: bytes) -> str:
    """A one-line field in normal form, masked."""
    if not text:
        return text
    line = " ".join(normalize(text).text.split())
    return apply(line, mask.edits(line, rules, salt=salt))


def _clean_metadata(metadata: Mapping[str, Value], rules: tuple[str, ...], salt: bytes) -> dict[str, Value]:
    exempt = ("path", "source", "modified")  # names of the user's files: what doc_id says anyway
    return {
        key: _clean(value, rules, salt) if isinstance(value, str) and key not in exempt else value
        for key, value in metadata.items()
    }
